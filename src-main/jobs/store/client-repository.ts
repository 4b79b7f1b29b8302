import { z } from 'zod';
import type { ClientPlace } from '../jobs.ts';
import type { SqlConnection } from './sql-connection.ts';

/** When a client was connected first and last, and from where. */
export interface ClientSighting {
  firstMs: number;
  lastMs: number;
  from: ClientPlace;
}

export interface SeenClient {
  clientId: string;
  firstMs: number | null;
  lastMs: number | null;
  from: ClientPlace | null;
  jobs: number;
}

const rowSchema = z
  .object({
    client_id: z.string(),
    first_seen_ms: z.number().nullable(),
    last_seen_ms: z.number().nullable(),
    seen_from: z.enum(['this_machine', 'network']).nullable().catch(null),
    jobs: z.number(),
  })
  .transform((row): SeenClient => ({ clientId: row.client_id, firstMs: row.first_seen_ms, lastMs: row.last_seen_ms, from: row.seen_from, jobs: row.jobs }));

/** Clients with an id that were ever connected. */
export class ClientRepository {
  readonly #sql: SqlConnection;

  constructor(sql: SqlConnection) {
    this.#sql = sql;
  }

  note(sightings: Iterable<[clientId: string, ClientSighting]>): void {
    this.#sql.transaction(() => {
      for (const [clientId, { firstMs, lastMs, from }] of sightings) {
        this.#sql.run(
          `INSERT INTO clients (client_id, reserved_seq, first_seen_ms, last_seen_ms, seen_from) VALUES (?, 0, ?, ?, ?)
           ON CONFLICT DO UPDATE SET first_seen_ms = coalesce(first_seen_ms, excluded.first_seen_ms), last_seen_ms = excluded.last_seen_ms,
             seen_from = excluded.seen_from`,
          clientId,
          firstMs,
          lastMs,
          from,
        );
      }
    });
  }

  /** The last seen first. */
  seen(limit: number): SeenClient[] {
    const rows = this.#sql.all(
      `SELECT client_id, first_seen_ms, last_seen_ms, seen_from, (SELECT count(*) FROM interests WHERE interests.client_id = clients.client_id) AS jobs
       FROM clients ORDER BY last_seen_ms DESC, client_id LIMIT ?`,
      limit,
    );
    return rows.map((row) => rowSchema.parse(row));
  }

  /** Keeps the `kept` most recently seen clients without a job. By number, not by age: a clock that jumps must not delete anything. */
  forgetIdle(kept: number): void {
    const idle = `SELECT client_id FROM clients WHERE client_id NOT IN (SELECT client_id FROM interests) ORDER BY last_seen_ms DESC LIMIT -1 OFFSET ?`;
    this.#sql.run(`DELETE FROM events WHERE client_id IN (${idle})`, kept);
    this.#sql.run(`DELETE FROM clients WHERE client_id IN (${idle})`, kept);
  }
}
