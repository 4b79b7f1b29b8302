import type { Label } from '#shared/domain/job-record.ts';
import { type Labels, labelsSchema } from '#shared/protocol/http.ts';
import type { SqlConnection } from './sql-connection.ts';

/** Albums and tags of jobs. */
export class LabelRepository {
  readonly #sql: SqlConnection;

  constructor(sql: SqlConnection) {
    this.#sql = sql;
  }

  /** A name that differs only in letter case is written as it was first. */
  add(jobId: string, { kind, name }: Label): void {
    const sql = `INSERT OR IGNORE INTO labels (kind, name, job_id)
      VALUES (?1, coalesce((SELECT name FROM labels WHERE kind = ?1 AND name = ?2 LIMIT 1), ?2), ?3)`;
    this.#sql.run(sql, kind, name, jobId);
  }

  remove(jobId: string, { kind, name }: Label): void {
    this.#sql.run('DELETE FROM labels WHERE kind = ? AND name = ? AND job_id = ?', kind, name, jobId);
  }

  list(): Labels['labels'] {
    const sql = `SELECT kind, name, count(*) AS jobs FROM labels JOIN jobs USING (job_id) WHERE deleted_at_ms IS NULL GROUP BY kind, name ORDER BY kind, name`;
    return labelsSchema.shape.labels.parse(this.#sql.all(sql));
  }
}
