import { z } from 'zod';
import { isEnd, type JobState, modelTypeSchema, type TextToImageParams } from '#shared/domain/job.ts';
import type { JobQuery } from '#shared/domain/job-record.ts';
import { appError, wireErrorSchema } from '#shared/protocol/errors.ts';
import type { Sizes } from '#shared/protocol/http.ts';
import { type JobStatusMessage, jobStatusMessageSchema, type RequestId } from '#shared/protocol/messages.ts';
import type { ClientPlace } from '../jobs.ts';
import type { MeasuredWork } from '../queue/estimate.ts';
import { type SqliteDatabase, type SqliteStatement, sqliteErrorCode, toDatabaseError } from './sqlite.ts';

/** A model as a job names it. */
export interface ModelName {
  name: string;
  identity: string;
}

export interface StoredJob {
  /** Grows with every new job: the cursor of lists. */
  number: number;
  jobId: string;
  params: TextToImageParams;
  checkpoint: ModelName;
  upscaler: ModelName;
  /** The original's name, kept for this job from the start; the file is there from `generated` on. */
  filename: string;
  state: JobState;
  /** Who asked first, see `WaitingJob`. */
  owner: string;
  arrival: number;
  place: number | null;
  starred: boolean;
  createdAtMs: number;
  finishedAtMs: number | null;
  deletedAtMs: number | null;
}

export type NewJob = Pick<StoredJob, 'jobId' | 'params' | 'checkpoint' | 'upscaler' | 'filename' | 'state' | 'owner' | 'arrival' | 'createdAtMs'>;

/**
 * A client's stand towards a job that it asked for: `live` hears of it and keeps it running, `cancelled` gave it up (and reads `cancelled`),
 * `over` once the job has ended.
 */
export type Stand = 'live' | 'cancelled' | 'over';

export interface Subscription {
  clientId: string;
  requestId: RequestId;
  stand: Stand;
}

/** One kind of picture on this machine, as the measured times are kept. */
export interface ImageKind {
  checkpoint: ModelName;
  upscalerIdentity: string;
  width: number;
  height: number;
  steps: number;
  guided: boolean;
}

export interface MeasuredKind {
  checkpoint: string;
  width: number;
  height: number;
  steps: number;
  generateMs: number;
  upscaleMs: number | null;
  pictures: number;
}

/** One client over some time: when it was there first and last, and where from. */
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

const setbacksSchema = z.array(z.string()).exactOptional();

const jobStateSchema: z.ZodType<JobState> = z.discriminatedUnion('status', [
  z.object({ status: z.literal('pending') }),
  z.object({ status: z.literal('processing') }),
  z.object({ status: z.literal('generated'), filename: z.string(), setbacks: setbacksSchema }),
  z.object({ status: z.literal('completed'), result: z.object({ filename: z.string(), upscaledFilename: z.string(), setbacks: setbacksSchema }) }),
  z.object({ status: z.literal('failed'), error: wireErrorSchema, filename: z.string().exactOptional() }),
  z.object({ status: z.literal('cancelled') }),
]);

const paramsSchema: z.ZodType<TextToImageParams> = z.object({
  prompt: z.string(),
  width: z.number(),
  height: z.number(),
  steps: z.number(),
  guidance_scale: z.number(),
  seed: z.number(),
  model_type: modelTypeSchema,
});

const jobRowSchema = z
  .object({
    number: z.number(),
    job_id: z.string(),
    params: z.string(),
    checkpoint_name: z.string(),
    checkpoint_identity: z.string(),
    upscaler_name: z.string(),
    upscaler_identity: z.string(),
    filename: z.string(),
    state: z.string(),
    owner: z.string(),
    arrival: z.number(),
    place: z.number().nullable(),
    starred: z.number(),
    created_at_ms: z.number(),
    finished_at_ms: z.number().nullable(),
    deleted_at_ms: z.number().nullable(),
  })
  .transform(
    (row): StoredJob => ({
      number: row.number,
      jobId: row.job_id,
      params: paramsSchema.parse(JSON.parse(row.params)),
      checkpoint: { name: row.checkpoint_name, identity: row.checkpoint_identity },
      upscaler: { name: row.upscaler_name, identity: row.upscaler_identity },
      filename: row.filename,
      state: jobStateSchema.parse(JSON.parse(row.state)),
      owner: row.owner,
      arrival: row.arrival,
      place: row.place,
      starred: row.starred === 1,
      createdAtMs: row.created_at_ms,
      finishedAtMs: row.finished_at_ms,
      deletedAtMs: row.deleted_at_ms,
    }),
  );

const standSchema = z.enum(['live', 'cancelled', 'over']);
const requestIdSchema = z.union([z.string(), z.number()]);
const interestRowSchema = z
  .object({ client_id: z.string(), request_id: z.string().nullable(), stand: standSchema })
  .transform((row): Subscription => ({ clientId: row.client_id, requestId: parseRequestId(row.request_id), stand: row.stand }));
const clientJobRowSchema = z.object({ job_id: z.string(), created_at_ms: z.number(), state: z.string(), stand: standSchema });
const sizeRowSchema = z.object({ width: z.number(), height: z.number(), jobs: z.number() });
const seenClientRowSchema = z
  .object({
    client_id: z.string(),
    first_seen_ms: z.number().nullable(),
    last_seen_ms: z.number().nullable(),
    seen_from: z.enum(['this_machine', 'network']).nullable(),
    jobs: z.number(),
  })
  .transform((row): SeenClient => ({ clientId: row.client_id, firstMs: row.first_seen_ms, lastMs: row.last_seen_ms, from: row.seen_from, jobs: row.jobs }));
const timingRowSchema = z.object({ generate_ms: z.number(), upscale_ms: z.number().nullable(), write_ms: z.number().nullable() });
const measuredRowSchema = z
  .object({
    checkpoint_name: z.string(),
    width: z.number(),
    height: z.number(),
    steps: z.number(),
    generate_ms: z.number(),
    upscale_ms: z.number().nullable(),
    pictures: z.number(),
  })
  .transform(
    (row): MeasuredKind => ({
      checkpoint: row.checkpoint_name,
      width: row.width,
      height: row.height,
      steps: row.steps,
      generateMs: row.generate_ms,
      upscaleMs: row.upscale_ms,
      pictures: row.pictures,
    }),
  );

/** Weight of the newest measurement against all earlier ones. */
const NEWEST_WEIGHT = 0.5;

/**
 * What survives a restart: jobs, who asked for them, what each client was told, measured times, settings. One connection; every method is synchronous.
 * Writes outside `transaction` commit on their own. Throws `disk_full`, `disk_failed` or `database_damaged` where SQLite does, `shutting_down` once closed, else SQLite's own error.
 */
export class Store {
  readonly #database: SqliteDatabase;
  readonly #statements = new Map<string, SqliteStatement>();
  #isOpen = true;

  constructor(database: SqliteDatabase) {
    this.#database = database;
  }

  /** Runs `work` as one durable step: on return it is on the disk, on a throw nothing of it has happened. Does not nest. */
  transaction<T>(work: () => T): T {
    return this.#guard(() => {
      this.#database.exec('BEGIN IMMEDIATE');
      try {
        const value = work();
        this.#database.exec('COMMIT');
        return value;
      } catch (thrown) {
        this.#rollBack();
        throw thrown;
      }
    });
  }

  job(jobId: string): StoredJob | null {
    return this.#job('SELECT * FROM jobs WHERE job_id = ?', jobId);
  }

  jobByFilename(filename: string): StoredJob | null {
    return this.#job('SELECT * FROM jobs WHERE filename = ?', filename);
  }

  hasFilename(filename: string): boolean {
    return this.#get('SELECT 1 FROM jobs WHERE filename = ?', filename) !== undefined;
  }

  /** Jobs in `pending`, `processing` or `generated`, in order of arrival. */
  unfinishedJobs(): StoredJob[] {
    return this.#jobs("SELECT * FROM jobs WHERE status IN ('pending', 'processing', 'generated') ORDER BY arrival");
  }

  /** Those that came to the bin before `beforeMs`, the longest there first; all of them without a limit. */
  binnedJobs({ beforeMs = Number.MAX_SAFE_INTEGER, limit = -1 }: { beforeMs?: number; limit?: number } = {}): StoredJob[] {
    return this.#jobs('SELECT * FROM jobs WHERE deleted_at_ms IS NOT NULL AND deleted_at_ms < ? ORDER BY deleted_at_ms, number LIMIT ?', beforeMs, limit);
  }

  /** Ended jobs with pictures that are neither starred nor in the bin, oldest first. */
  oldestUnstarred(limit: number): StoredJob[] {
    return this.#jobs(
      'SELECT * FROM jobs WHERE deleted_at_ms IS NULL AND starred = 0 AND size_bytes > 0 AND finished_at_ms IS NOT NULL ORDER BY number LIMIT ?',
      limit,
    );
  }

  /** Ended jobs whose pictures' size is not known yet. */
  unmeasuredJobs(limit: number): StoredJob[] {
    return this.#jobs('SELECT * FROM jobs WHERE size_bytes IS NULL AND finished_at_ms IS NOT NULL ORDER BY number LIMIT ?', limit);
  }

  setSize(jobId: string, sizeBytes: number): void {
    this.#run('UPDATE jobs SET size_bytes = ? WHERE job_id = ?', sizeBytes, jobId);
  }

  /** Of all ended jobs outside of the bin. */
  keptBytes(): number {
    return this.#sum('SELECT sum(size_bytes) AS total FROM jobs WHERE deleted_at_ms IS NULL');
  }

  starredBytes(): number {
    return this.#sum('SELECT sum(size_bytes) AS total FROM jobs WHERE deleted_at_ms IS NULL AND starred = 1');
  }

  binnedBytes(): number {
    return this.#sum('SELECT sum(size_bytes) AS total FROM jobs WHERE deleted_at_ms IS NOT NULL');
  }

  /** Of the jobs that still wait or run; the order of ended ones counts no more, and an index has these. */
  lastArrival(): number {
    const sql = "SELECT coalesce(max(arrival), 0) AS last FROM jobs WHERE status IN ('pending', 'processing', 'generated')";
    return z.object({ last: z.number() }).parse(this.#get(sql)).last;
  }

  insertJob(job: NewJob): void {
    this.#run(
      `INSERT INTO jobs (job_id, task_type, params, search_text, model_type, checkpoint_name, checkpoint_identity, upscaler_name, upscaler_identity,
        filename, status, state, owner, arrival, created_at_ms, finished_at_ms)
       VALUES (?, 'text_to_image', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      job.jobId,
      JSON.stringify(job.params),
      searchText(job.params.prompt),
      job.params.model_type,
      job.checkpoint.name,
      job.checkpoint.identity,
      job.upscaler.name,
      job.upscaler.identity,
      job.filename,
      job.state.status,
      JSON.stringify(job.state),
      job.owner,
      job.arrival,
      job.createdAtMs,
      isEnd(job.state) ? job.createdAtMs : null,
    );
  }

  setState(jobId: string, state: JobState, nowMs: number): void {
    this.#run(
      'UPDATE jobs SET status = ?, state = ?, place = NULL, finished_at_ms = ? WHERE job_id = ?',
      state.status,
      JSON.stringify(state),
      isEnd(state) ? nowMs : null,
      jobId,
    );
  }

  /** A fresh request for an ended job: as `setState`, with a new owner and arrival, and out of the bin. */
  requestAgain(jobId: string, state: JobState, owner: string, arrival: number, nowMs: number): void {
    this.setState(jobId, state, nowMs);
    this.#run('UPDATE jobs SET owner = ?, arrival = ?, deleted_at_ms = NULL, size_bytes = NULL WHERE job_id = ?', owner, arrival, jobId);
  }

  setPlace(jobId: string, place: number): void {
    this.#run('UPDATE jobs SET place = ? WHERE job_id = ?', place, jobId);
  }

  setStarred(jobId: string, starred: boolean): void {
    this.#run('UPDATE jobs SET starred = ? WHERE job_id = ?', starred ? 1 : 0, jobId);
  }

  setDeleted(jobId: string, deletedAtMs: number | null): void {
    this.#run('UPDATE jobs SET deleted_at_ms = ? WHERE job_id = ?', deletedAtMs, jobId);
  }

  forgetJob(jobId: string): void {
    this.#run('DELETE FROM jobs WHERE job_id = ?', jobId);
  }

  /** One row more than `limit` tells that there is another page. */
  listJobs(query: JobQuery, limit: number): StoredJob[] {
    const filters: [string, string | number][] = [];
    if (query.before !== undefined) filters.push(['number < ?', query.before]);
    if (query.status !== undefined) filters.push(['status = ?', query.status]);
    if (query.model !== undefined) filters.push(['model_type = ?', query.model]);
    if (query.starred !== undefined) filters.push(['starred = ?', query.starred ? 1 : 0]);
    if (query.client !== undefined) filters.push(['job_id IN (SELECT job_id FROM interests WHERE client_id = ?)', query.client]);
    if (query.from !== undefined) filters.push(['created_at_ms >= ?', query.from * 1000]);
    if (query.to !== undefined) filters.push(['created_at_ms < ?', query.to * 1000]);
    if (query.width !== undefined) filters.push(['width = ?', query.width]);
    if (query.height !== undefined) filters.push(['height = ?', query.height]);
    if (query.min_pixels !== undefined) filters.push(['width * height >= ?', query.min_pixels]);
    for (const word of searchText(query.query ?? '').split(/\s+/)) {
      if (word !== '') filters.push(['instr(search_text, ?) > 0', word]);
    }
    const where = [`deleted_at_ms IS ${query.deleted === true ? 'NOT ' : ''}NULL`, ...filters.map(([sql]) => sql)].join(' AND ');
    const sql = `SELECT * FROM jobs WHERE ${where} ORDER BY number DESC LIMIT ?`;
    const values = [...filters.map(([, value]) => value), limit];
    // not one of the kept statements: there are as many as there are combinations of filters
    return this.#guard(() => this.#database.prepare(sql).all(...values)).map((row) => jobRowSchema.parse(row));
  }

  /** The most frequent first. */
  sizes(limit: number): Sizes['sizes'] {
    const sql = 'SELECT width, height, count(*) AS jobs FROM jobs WHERE deleted_at_ms IS NULL GROUP BY width, height ORDER BY jobs DESC LIMIT ?';
    return this.#all(sql, limit).map((row) => sizeRowSchema.parse(row));
  }

  interests(jobId: string): Subscription[] {
    return this.#all('SELECT client_id, request_id, stand FROM interests WHERE job_id = ?', jobId).map((row) => interestRowSchema.parse(row));
  }

  interest(clientId: string, jobId: string): Subscription | null {
    const row = this.#get('SELECT client_id, request_id, stand FROM interests WHERE client_id = ? AND job_id = ?', clientId, jobId);
    return row === undefined ? null : interestRowSchema.parse(row);
  }

  setInterest(jobId: string, { clientId, requestId, stand }: Subscription): void {
    this.#run(
      'INSERT OR REPLACE INTO interests (client_id, job_id, request_id, stand) VALUES (?, ?, ?, ?)',
      clientId,
      jobId,
      requestId === undefined ? null : JSON.stringify(requestId),
      stand,
    );
  }

  endInterests(jobId: string): void {
    this.#run("UPDATE interests SET stand = 'over' WHERE job_id = ? AND stand = 'live'", jobId);
  }

  /** Every job that the client ever asked for, newest first. */
  clientJobs(clientId: string): { jobId: string; createdAtMs: number; state: JobState; stand: Stand }[] {
    const rows = this.#all(
      `SELECT jobs.job_id, created_at_ms, state, stand FROM interests JOIN jobs ON jobs.job_id = interests.job_id
       WHERE client_id = ? ORDER BY number DESC`,
      clientId,
    );
    return rows.map((row) => {
      const { job_id, created_at_ms, state, stand } = clientJobRowSchema.parse(row);
      return { jobId: job_id, createdAtMs: created_at_ms, state: jobStateSchema.parse(JSON.parse(state)), stand };
    });
  }

  /** Every number up to this one may have been handed out to the client before. */
  reservedSeq(clientId: string): number {
    const row = this.#get('SELECT reserved_seq FROM clients WHERE client_id = ?', clientId);
    return row === undefined ? 0 : z.object({ reserved_seq: z.number() }).parse(row).reserved_seq;
  }

  reserveSeq(clientId: string, reservedSeq: number): void {
    const sql = 'INSERT INTO clients (client_id, reserved_seq) VALUES (?, ?) ON CONFLICT DO UPDATE SET reserved_seq = excluded.reserved_seq';
    this.#run(sql, clientId, reservedSeq);
  }

  noteClient(clientId: string, { firstMs, lastMs, from }: ClientSighting): void {
    this.#run(
      `INSERT INTO clients (client_id, reserved_seq, first_seen_ms, last_seen_ms, seen_from) VALUES (?, 0, ?, ?, ?)
       ON CONFLICT DO UPDATE SET first_seen_ms = coalesce(first_seen_ms, excluded.first_seen_ms), last_seen_ms = excluded.last_seen_ms, seen_from = excluded.seen_from`,
      clientId,
      firstMs,
      lastMs,
      from,
    );
  }

  /** The last seen first. */
  seenClients(limit: number): SeenClient[] {
    const rows = this.#all(
      `SELECT client_id, first_seen_ms, last_seen_ms, seen_from, (SELECT count(*) FROM interests WHERE interests.client_id = clients.client_id) AS jobs
       FROM clients ORDER BY last_seen_ms DESC, client_id LIMIT ?`,
      limit,
    );
    return rows.map((row) => seenClientRowSchema.parse(row));
  }

  /** Of a client that never asked for a job nothing is kept when it was not seen since then. */
  forgetIdleClients(beforeMs: number): void {
    const idle = 'last_seen_ms < ? AND client_id NOT IN (SELECT client_id FROM interests)';
    this.#run(`DELETE FROM events WHERE client_id IN (SELECT client_id FROM clients WHERE ${idle})`, beforeMs);
    this.#run(`DELETE FROM clients WHERE ${idle}`, beforeMs);
  }

  insertEvent(clientId: string, seq: number, message: JobStatusMessage): void {
    this.#run('INSERT INTO events (client_id, seq, message) VALUES (?, ?, ?)', clientId, seq, JSON.stringify(message));
  }

  eventsSince(clientId: string, seq: number): JobStatusMessage[] {
    return this.#all('SELECT message FROM events WHERE client_id = ? AND seq > ? ORDER BY seq', clientId, seq).map((row) =>
      jobStatusMessageSchema.parse(JSON.parse(z.object({ message: z.string() }).parse(row).message)),
    );
  }

  /** Keeps the client's newest `kept` events. */
  pruneEvents(clientId: string, kept: number): void {
    this.#run(
      'DELETE FROM events WHERE client_id = ?1 AND seq <= (SELECT seq FROM events WHERE client_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)',
      clientId,
      kept,
    );
  }

  /** Null until both parts of such a picture were measured. */
  measuredWork(kind: ImageKind): MeasuredWork | null {
    const row = this.#get(`SELECT generate_ms, upscale_ms, write_ms FROM timings WHERE ${KIND_IS}`, ...kindKey(kind));
    if (row === undefined) return null;
    const { generate_ms, upscale_ms, write_ms } = timingRowSchema.parse(row);
    return upscale_ms === null || write_ms === null ? null : { generateMs: generate_ms, upscaleMs: upscale_ms, writeMs: write_ms };
  }

  addGenerateTime(kind: ImageKind, ms: number, nowMs: number): void {
    this.#run(
      `INSERT INTO timings (checkpoint_identity, upscaler_identity, width, height, steps, guided, checkpoint_name, generate_ms, pictures, measured_at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?)
       ON CONFLICT DO UPDATE SET generate_ms = generate_ms + ${NEWEST_WEIGHT} * (excluded.generate_ms - generate_ms), pictures = pictures + 1,
         checkpoint_name = excluded.checkpoint_name, measured_at_ms = excluded.measured_at_ms`,
      ...kindKey(kind),
      kind.checkpoint.name,
      ms,
      nowMs,
    );
  }

  addUpscaleTime(kind: ImageKind, upscaleMs: number, writeMs: number): void {
    this.#run(
      `UPDATE timings SET upscale_ms = coalesce(upscale_ms + ${NEWEST_WEIGHT} * (? - upscale_ms), ?), write_ms = coalesce(write_ms + ${NEWEST_WEIGHT} * (? - write_ms), ?)
       WHERE ${KIND_IS}`,
      upscaleMs,
      upscaleMs,
      writeMs,
      writeMs,
      ...kindKey(kind),
    );
  }

  measuredKinds(limit: number): MeasuredKind[] {
    return this.#all('SELECT * FROM timings ORDER BY measured_at_ms DESC LIMIT ?', limit).map((row) => measuredRowSchema.parse(row));
  }

  setting(name: string): string | null {
    const row = this.#get('SELECT value FROM settings WHERE name = ?', name);
    return row === undefined ? null : z.object({ value: z.string() }).parse(row).value;
  }

  setSetting(name: string, value: string): void {
    this.#run('INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)', name, value);
  }

  /** Every later call throws `shutting_down`. */
  close(): void {
    this.#isOpen = false;
    this.#statements.clear();
    this.#database.close();
  }

  #job(sql: string, ...values: (string | number | null)[]): StoredJob | null {
    const row = this.#get(sql, ...values);
    return row === undefined ? null : jobRowSchema.parse(row);
  }

  #jobs(sql: string, ...values: (string | number | null)[]): StoredJob[] {
    return this.#all(sql, ...values).map((row) => jobRowSchema.parse(row));
  }

  #sum(sql: string): number {
    return z.object({ total: z.number().nullable() }).parse(this.#get(sql)).total ?? 0;
  }

  #get(sql: string, ...values: (string | number | null)[]): unknown {
    return this.#guard(() => this.#statement(sql).get(...values));
  }

  #all(sql: string, ...values: (string | number | null)[]): unknown[] {
    return this.#guard(() => this.#statement(sql).all(...values));
  }

  #run(sql: string, ...values: (string | number | null)[]): void {
    this.#guard(() => this.#statement(sql).run(...values));
  }

  #statement(sql: string): SqliteStatement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** SQLite has rolled back by itself after some errors (full disk, I/O); a second ROLLBACK would hide the first error behind its own. */
  #rollBack(): void {
    try {
      this.#database.exec('ROLLBACK');
    } catch (thrown) {
      if (sqliteErrorCode(thrown) === null) throw thrown;
    }
  }

  #guard<T>(work: () => T): T {
    if (!this.#isOpen) throw appError('shutting_down', {});
    try {
      return work();
    } catch (cause) {
      throw toDatabaseError(cause);
    }
  }
}

const KIND_IS = 'checkpoint_identity = ? AND upscaler_identity = ? AND width = ? AND height = ? AND steps = ? AND guided = ?';

function kindKey(kind: ImageKind): [string, string, number, number, number, number] {
  return [kind.checkpoint.identity, kind.upscalerIdentity, kind.width, kind.height, kind.steps, kind.guided ? 1 : 0];
}

export function imageKindOf(job: Pick<StoredJob, 'params' | 'checkpoint' | 'upscaler'>): ImageKind {
  const { width, height, steps, guidance_scale } = job.params;
  return { checkpoint: job.checkpoint, upscalerIdentity: job.upscaler.identity, width, height, steps, guided: guidance_scale > 0 };
}

function searchText(prompt: string): string {
  return prompt.normalize('NFC').toLowerCase();
}

function parseRequestId(json: string | null): RequestId {
  return json === null ? undefined : requestIdSchema.parse(JSON.parse(json));
}
