import { z } from 'zod';
import { type JobState, type TaskType, taskTypeSchema } from '#shared/domain/job.ts';
import { type RequestId, requestIdSchema } from '#shared/protocol/messages.ts';
import type { SqlConnection } from './sql-connection.ts';
import { parseState } from './stored-job.ts';

/**
 * `live`: the client hears of the job and keeps it running. `cancelled`: it gave the job up, which reads `cancelled` for it. `over`: the job has ended, or
 * another version of the program knows more.
 */
const standingSchema = z.enum(['live', 'cancelled', 'over']).catch('over');
export type Standing = z.infer<typeof standingSchema>;

/** A client asked for a job. */
export interface Subscription {
  clientId: string;
  requestId: RequestId;
  standing: Standing;
}

/** One job as its client lists it. */
export interface ClientJob {
  jobId: string;
  taskType: TaskType;
  createdAtMs: number;
  state: JobState;
  standing: Standing;
}

const rowSchema = z
  .object({ client_id: z.string(), request_id: z.string().nullable(), stand: standingSchema })
  .transform((row): Subscription => ({ clientId: row.client_id, requestId: parseRequestId(row.request_id), standing: row.stand }));
const clientJobSchema = z
  .object({ job_id: z.string(), task_type: taskTypeSchema.catch('text_to_image'), created_at_ms: z.number(), state: z.string(), stand: standingSchema })
  .transform(
    (row): ClientJob => ({ jobId: row.job_id, taskType: row.task_type, createdAtMs: row.created_at_ms, state: parseState(row.state), standing: row.stand }),
  );
const clientOfJobSchema = z.object({ job_id: z.string(), client_id: z.string() });

/** Which client asked for which job; kept as long as the job. */
export class SubscriptionRepository {
  readonly #sql: SqlConnection;

  constructor(sql: SqlConnection) {
    this.#sql = sql;
  }

  ofJob(jobId: string): Subscription[] {
    return this.#sql.all('SELECT client_id, request_id, stand FROM interests WHERE job_id = ?', jobId).map((row) => rowSchema.parse(row));
  }

  of(clientId: string, jobId: string): Subscription | null {
    const row = this.#sql.get('SELECT client_id, request_id, stand FROM interests WHERE client_id = ? AND job_id = ?', clientId, jobId);
    return row === undefined ? null : rowSchema.parse(row);
  }

  set(jobId: string, { clientId, requestId, standing }: Subscription): void {
    this.#sql.run(
      'INSERT OR REPLACE INTO interests (client_id, job_id, request_id, stand) VALUES (?, ?, ?, ?)',
      clientId,
      jobId,
      requestId === undefined ? null : JSON.stringify(requestId),
      standing,
    );
  }

  /** The job has ended: what was `live` is `over`. */
  end(jobId: string): void {
    this.#sql.run("UPDATE interests SET stand = 'over' WHERE job_id = ? AND stand = 'live'", jobId);
  }

  /** The ids of all clients that asked for each of the jobs. */
  clientsOf(jobIds: readonly string[]): Map<string, string[]> {
    const rows = this.#sql.all('SELECT job_id, client_id FROM interests WHERE job_id IN (SELECT value FROM json_each(?))', JSON.stringify(jobIds));
    const clients = new Map<string, string[]>(jobIds.map((jobId) => [jobId, []]));
    for (const row of rows) {
      const { job_id, client_id } = clientOfJobSchema.parse(row);
      clients.get(job_id)?.push(client_id);
    }
    return clients;
  }

  /** What the client ever asked for, newest first, from behind the job `before`. */
  jobsOf(clientId: string, { before, limit }: { before?: string | undefined; limit: number }): ClientJob[] {
    const sql = `SELECT jobs.job_id, task_type, created_at_ms, state, stand FROM interests JOIN jobs ON jobs.job_id = interests.job_id
      WHERE client_id = ?1 AND (?2 IS NULL OR number < (SELECT number FROM jobs WHERE job_id = ?2)) ORDER BY number DESC LIMIT ?3`;
    return this.#sql.all(sql, clientId, before ?? null, limit).map((row) => clientJobSchema.parse(row));
  }
}

/** Undefined where none was stored, or one that this version cannot read. */
function parseRequestId(json: string | null): RequestId {
  if (json === null) return undefined;
  try {
    return requestIdSchema.safeParse(JSON.parse(json)).data;
  } catch {
    return undefined; // not JSON: the answer goes out without an id
  }
}
