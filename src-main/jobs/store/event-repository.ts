import { z } from 'zod';
import { type JobStatusMessage, jobStatusMessageSchema } from '#shared/protocol/messages.ts';
import type { SqlConnection } from './sql-connection.ts';

const reservedSchema = z.object({ reserved_seq: z.number() });
const messageSchema = z.object({ message: z.string() });

/** The statuses that each client was sent, so that `since` can send them again, and the numbers that they have. */
export class EventRepository {
  readonly #sql: SqlConnection;

  constructor(sql: SqlConnection) {
    this.#sql = sql;
  }

  /** Every number up to this one may have been sent to the client. */
  reservedSeq(clientId: string): number {
    const row = this.#sql.get('SELECT reserved_seq FROM clients WHERE client_id = ?', clientId);
    return row === undefined ? 0 : reservedSchema.parse(row).reserved_seq;
  }

  reserveSeq(clientId: string, reservedSeq: number): void {
    const sql = 'INSERT INTO clients (client_id, reserved_seq) VALUES (?, ?) ON CONFLICT DO UPDATE SET reserved_seq = excluded.reserved_seq';
    this.#sql.run(sql, clientId, reservedSeq);
  }

  insert(clientId: string, seq: number, message: JobStatusMessage): void {
    this.#sql.run('INSERT INTO events (client_id, seq, message, job_id) VALUES (?, ?, ?, ?)', clientId, seq, JSON.stringify(message), message.job_id);
  }

  /** In order, without what this version cannot read. */
  since(clientId: string, seq: number): JobStatusMessage[] {
    const rows = this.#sql.all('SELECT message FROM events WHERE client_id = ? AND seq > ? ORDER BY seq', clientId, seq);
    return rows.flatMap((row) => parseMessage(messageSchema.parse(row).message) ?? []);
  }

  /** Keeps the client's newest `kept` events. */
  prune(clientId: string, kept: number): void {
    this.#sql.run(
      'DELETE FROM events WHERE client_id = ?1 AND seq <= (SELECT seq FROM events WHERE client_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)',
      clientId,
      kept,
    );
  }

  /** A job was permanently deleted: none of its messages is sent again. */
  deleteOf(jobId: string): void {
    this.#sql.run('DELETE FROM events WHERE job_id = ?', jobId);
  }
}

function parseMessage(json: string): JobStatusMessage | null {
  try {
    return jobStatusMessageSchema.safeParse(JSON.parse(json)).data ?? null;
  } catch {
    return null; // not JSON: a damaged event is not sent again
  }
}
