import { z } from 'zod';
import { isEnd, type JobState } from '#shared/domain/job.ts';
import type { JobQuery } from '#shared/domain/job-record.ts';
import type { Sizes } from '#shared/protocol/http.ts';
import type { SqlConnection } from './sql-connection.ts';
import type { SqliteValue } from './sqlite.ts';
import { JOB_COLUMNS, type NewJob, parseJobRow, type StoredJob } from './stored-job.ts';

const totalSchema = z.object({ total: z.number().nullable() });
const inputRowSchema = z.object({ image: z.string().nullable(), mask: z.string().nullable(), control: z.string().nullable() });
const sizeRowSchema = z.object({ width: z.number(), height: z.number(), jobs: z.number() });

/** Where a job is in the order of deletion: behind all others with every end, request and return from the bin, whatever the clock says. */
const NEXT_KEPT_ORDER = '(SELECT coalesce(max(kept_order), 0) + 1 FROM jobs)';

/** Jobs, ended ones included. Writes belong in a transaction; those that change a job return it. */
export class JobRepository {
  readonly #sql: SqlConnection;

  constructor(sql: SqlConnection) {
    this.#sql = sql;
  }

  byId(jobId: string): StoredJob | null {
    return this.#one(`SELECT ${JOB_COLUMNS} FROM jobs WHERE job_id = ?`, jobId);
  }

  byFilename(filename: string): StoredJob | null {
    return this.#one(`SELECT ${JOB_COLUMNS} FROM jobs WHERE filename = ?`, filename);
  }

  hasFilename(filename: string): boolean {
    return this.#sql.get('SELECT 1 FROM jobs WHERE filename = ?', filename) !== undefined;
  }

  isEmpty(): boolean {
    return this.#sql.get('SELECT 1 FROM jobs') === undefined;
  }

  /** Jobs in `pending`, `processing` or `generated`, in order of arrival; foreign ones too. */
  unfinished(): StoredJob[] {
    return this.#many(`SELECT ${JOB_COLUMNS} FROM jobs WHERE status IN ('pending', 'processing', 'generated') ORDER BY arrival`);
  }

  /** Jobs in the bin, the longest there first, without `except`; only what came there before `beforeAgeMs` of the age clock. */
  binned({ beforeAgeMs = Number.MAX_VALUE, except = [], limit }: { beforeAgeMs?: number; except?: readonly string[]; limit: number }): StoredJob[] {
    const sql = `SELECT ${JOB_COLUMNS} FROM jobs WHERE deleted_at_ms IS NOT NULL AND binned_age_ms < ? AND job_id NOT IN (SELECT value FROM json_each(?))
      ORDER BY binned_age_ms, deleted_at_ms, number LIMIT ?`;
    return this.#many(sql, beforeAgeMs, JSON.stringify(except), limit);
  }

  /** Ended jobs with files that are neither starred nor in the bin, in the order in which they are deleted when the disk limit is reached. */
  oldestUnstarred(except: readonly string[], limit: number): StoredJob[] {
    return this.#many(
      `SELECT ${JOB_COLUMNS} FROM jobs WHERE deleted_at_ms IS NULL AND starred = 0 AND size_bytes > 0 AND kept_order IS NOT NULL
        AND job_id NOT IN (SELECT value FROM json_each(?)) ORDER BY kept_order LIMIT ?`,
      JSON.stringify(except),
      limit,
    );
  }

  /** Ended jobs after that number whose files' size is not known yet. */
  unmeasured(afterNumber: number, limit: number): StoredJob[] {
    const sql = `SELECT ${JOB_COLUMNS} FROM jobs WHERE size_bytes IS NULL AND finished_at_ms IS NOT NULL AND number > ? ORDER BY number LIMIT ?`;
    return this.#many(sql, afterNumber, limit);
  }

  setSize(jobId: string, sizeBytes: number): void {
    this.#sql.run('UPDATE jobs SET size_bytes = ? WHERE job_id = ?', sizeBytes, jobId);
  }

  /** Bytes of all ended jobs outside the bin. */
  keptBytes(): number {
    return this.#sum('SELECT sum(size_bytes) AS total FROM jobs WHERE deleted_at_ms IS NULL');
  }

  starredBytes(): number {
    return this.#sum('SELECT sum(size_bytes) AS total FROM jobs WHERE deleted_at_ms IS NULL AND starred = 1');
  }

  binnedBytes(): number {
    return this.#sum('SELECT sum(size_bytes) AS total FROM jobs WHERE deleted_at_ms IS NOT NULL');
  }

  /** The highest arrival of the unfinished jobs, or 0. */
  lastArrival(): number {
    return this.#sum("SELECT max(arrival) AS total FROM jobs WHERE status IN ('pending', 'processing', 'generated')");
  }

  insert(job: NewJob): StoredJob {
    const sql = `INSERT INTO jobs (job_id, task_type, params, search_text, model_type, checkpoint_name, checkpoint_identity, upscaler_name, upscaler_identity,
        filename, status, state, owner, arrival, created_at_ms, finished_at_ms, kept_order)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ${isEnd(job.state) ? NEXT_KEPT_ORDER : 'NULL'}) RETURNING ${JOB_COLUMNS}`;
    return this.#changed(
      sql,
      job.jobId,
      job.taskType,
      JSON.stringify(job.params),
      job.taskType === 'upscale' ? '' : searchText(job.params.prompt),
      job.taskType === 'upscale' ? '' : job.params.model_type,
      job.checkpoint?.name ?? '',
      job.checkpoint?.identity ?? '',
      job.upscaler?.name ?? '',
      job.upscaler?.identity ?? '',
      job.filename,
      job.state.status,
      JSON.stringify(job.state),
      job.requester,
      job.arrival,
      job.createdAtMs,
      isEnd(job.state) ? job.createdAtMs : null,
    );
  }

  setState(jobId: string, state: JobState, nowMs: number): StoredJob {
    const ended = isEnd(state);
    const sql = `UPDATE jobs SET status = ?, state = ?, place = NULL, finished_at_ms = ?, kept_order = ${ended ? NEXT_KEPT_ORDER : 'NULL'}
      WHERE job_id = ? RETURNING ${JOB_COLUMNS}`;
    return this.#changed(sql, state.status, JSON.stringify(state), ended ? nowMs : null, jobId);
  }

  /** A new request for an ended job, which is the newest from then on: as `setState`, with all that a new job has of its own. */
  requestAgain(jobId: string, state: JobState, request: Pick<StoredJob, 'requester' | 'arrival' | 'filename' | 'createdAtMs'>): StoredJob {
    this.setState(jobId, state, request.createdAtMs);
    const sql = `UPDATE jobs SET number = (SELECT max(number) FROM jobs) + 1, owner = ?, arrival = ?, filename = ?, created_at_ms = ?, deleted_at_ms = NULL,
        binned_age_ms = NULL, size_bytes = NULL
      WHERE job_id = ? RETURNING ${JOB_COLUMNS}`;
    return this.#changed(sql, request.requester, request.arrival, request.filename, request.createdAtMs, jobId);
  }

  /** `ageMs` is the reading of the age clock. */
  moveToBin(jobId: string, nowMs: number, ageMs: number): StoredJob {
    return this.#changed(`UPDATE jobs SET deleted_at_ms = ?, binned_age_ms = ? WHERE job_id = ? RETURNING ${JOB_COLUMNS}`, nowMs, ageMs, jobId);
  }

  restore(jobId: string): StoredJob {
    const sql = `UPDATE jobs SET deleted_at_ms = NULL, binned_age_ms = NULL, kept_order = ${NEXT_KEPT_ORDER} WHERE job_id = ? RETURNING ${JOB_COLUMNS}`;
    return this.#changed(sql, jobId);
  }

  /** For a job in the bin that was asked for again: it is the newest one from then on. */
  restoreAsNewest(jobId: string, nowMs: number): StoredJob {
    this.restore(jobId);
    const sql = `UPDATE jobs SET number = (SELECT max(number) FROM jobs) + 1, created_at_ms = ?, finished_at_ms = ? WHERE job_id = ? RETURNING ${JOB_COLUMNS}`;
    return this.#changed(sql, nowMs, nowMs, jobId);
  }

  /** The job was asked for again and its images are there: it is the last to be deleted. */
  keepLonger(jobId: string): void {
    this.#sql.run(`UPDATE jobs SET kept_order = ${NEXT_KEPT_ORDER} WHERE job_id = ?`, jobId);
  }

  setPlace(jobId: string, place: number): StoredJob {
    return this.#changed(`UPDATE jobs SET place = ? WHERE job_id = ? RETURNING ${JOB_COLUMNS}`, place, jobId);
  }

  setStarred(jobId: string, starred: boolean): StoredJob {
    return this.#changed(`UPDATE jobs SET starred = ? WHERE job_id = ? RETURNING ${JOB_COLUMNS}`, starred ? 1 : 0, jobId);
  }

  delete(jobId: string): void {
    this.#sql.run('DELETE FROM jobs WHERE job_id = ?', jobId);
  }

  /** In the order of the query. One row more than `limit` shows that there is another page. */
  list(query: JobQuery, limit: number): StoredJob[] {
    const filters: [string, string | number][] = [];
    const isOldestFirst = query.order === 'oldest';
    if (query.before !== undefined) filters.push([`number ${isOldestFirst ? '>' : '<'} ?`, query.before]);
    if (query.status !== undefined) filters.push(['status = ?', query.status]);
    if (query.model !== undefined) filters.push(['model_type = ?', query.model]);
    if (query.starred !== undefined) filters.push(['starred = ?', query.starred ? 1 : 0]);
    if (query.client !== undefined) filters.push(['job_id IN (SELECT job_id FROM interests WHERE client_id = ?)', query.client]);
    for (const kind of ['album', 'tag'] as const) {
      const name = query[kind];
      if (name !== undefined) filters.push([`job_id IN (SELECT job_id FROM labels WHERE kind = '${kind}' AND name = ?)`, name]);
    }
    if (query.from !== undefined) filters.push(['created_at_ms >= ?', query.from * 1000]);
    if (query.to !== undefined) filters.push(['created_at_ms < ?', query.to * 1000]);
    if (query.width !== undefined) filters.push(['width = ?', query.width]);
    if (query.height !== undefined) filters.push(['height = ?', query.height]);
    if (query.min_pixels !== undefined) filters.push(['width * height >= ?', query.min_pixels]);
    if (query.max_pixels !== undefined) filters.push(['width * height <= ?', query.max_pixels]);
    // as JSON.stringify writes it, which is quicker to find than by parsing the params of every job
    if (query.seed !== undefined) filters.push([`instr(replace(params, '}', ','), ?) > 0`, `"seed":${query.seed},`]);
    for (const text of linesOf(query.phrases)) filters.push(['instr(search_text, ?) > 0', text]);
    for (const text of linesOf(query.without)) filters.push(['instr(search_text, ?) = 0', text]);
    for (const word of searchText(query.query ?? '').split(/\s+/)) {
      if (word !== '') filters.push(['instr(search_text, ?) > 0', word]);
    }
    const where = [`deleted_at_ms IS ${query.deleted === true ? 'NOT ' : ''}NULL`, ...filters.map(([sql]) => sql)].join(' AND ');
    const sql = `SELECT ${JOB_COLUMNS} FROM jobs WHERE ${where} ORDER BY number ${isOldestFirst ? 'ASC' : 'DESC'} LIMIT ?`;
    return this.#sql.allOnce(sql, ...filters.map(([, value]) => value), limit).map(parseJobRow);
  }

  /** Of the images that jobs start from. */
  inputImages(): Set<string> {
    const sql = `SELECT params ->> 'image' AS image, params ->> 'mask' AS mask, params ->> '$.control.image' AS control FROM jobs
      WHERE (task_type <> 'text_to_image' OR instr(params, '"control":') > 0) AND json_valid(params)`;
    return new Set(this.#sql.allOnce(sql).flatMap((row) => Object.values(inputRowSchema.parse(row)).filter((id) => id !== null)));
  }

  /** The most frequent sizes first. */
  sizes(limit: number): Sizes['sizes'] {
    const sql = `SELECT width, height, count(*) AS jobs FROM jobs WHERE deleted_at_ms IS NULL AND width > 0 AND height > 0
      GROUP BY width, height ORDER BY jobs DESC LIMIT ?`;
    return this.#sql.all(sql, limit).map((row) => sizeRowSchema.parse(row));
  }

  #one(sql: string, ...values: SqliteValue[]): StoredJob | null {
    const row = this.#sql.get(sql, ...values);
    return row === undefined ? null : parseJobRow(row);
  }

  #many(sql: string, ...values: SqliteValue[]): StoredJob[] {
    return this.#sql.all(sql, ...values).map(parseJobRow);
  }

  #changed(sql: string, ...values: SqliteValue[]): StoredJob {
    return parseJobRow(this.#sql.get(sql, ...values));
  }

  #sum(sql: string): number {
    return totalSchema.parse(this.#sql.get(sql)).total ?? 0;
  }
}

function linesOf(text = ''): string[] {
  return searchText(text)
    .split('\n')
    .filter((line) => line.trim() !== '');
}

function searchText(prompt: string): string {
  return prompt.normalize('NFC').toLowerCase();
}
