import { z } from 'zod';
import type { Recipe } from '#shared/domain/recipe.ts';
import type { SqlConnection } from './sql-connection.ts';

const rowSchema = z.object({ job_id: z.string(), role: z.enum(['original', 'upscaled']) });

/** The hashes of the pixels of every image that this installation made. */
export class PixelRepository {
  readonly #sql: SqlConnection;

  constructor(sql: SqlConnection) {
    this.#sql = sql;
  }

  set(jobId: string, role: Recipe['role'], sha256: string): void {
    this.#sql.run('INSERT OR REPLACE INTO pixels (job_id, role, sha256) VALUES (?, ?, ?)', jobId, role, sha256);
  }

  /** The newest image with these pixels, or null. */
  find(sha256: string): { jobId: string; role: Recipe['role'] } | null {
    const row = this.#sql.get('SELECT job_id, role FROM pixels JOIN jobs USING (job_id) WHERE sha256 = ? ORDER BY number DESC LIMIT 1', sha256);
    if (row === undefined) return null;
    const { job_id: jobId, role } = rowSchema.parse(row);
    return { jobId, role };
  }
}
