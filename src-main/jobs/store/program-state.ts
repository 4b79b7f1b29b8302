import { z } from 'zod';
import type { SqlConnection } from './sql-connection.ts';

const valueSchema = z.object({ value: z.string() });

/**
 * What the program itself has to remember:
 * - `paused`: the queue.
 * - `own_folder`: the data folder was empty when it was first used, so its rights are ours to set.
 * - `clean_end`: the last process left no unfinished file.
 * - `indexed`: the image folders have been read into the database.
 * - `image_folders`: every folder that an image was written to, as a JSON array.
 * - `age_ms`, `age_wall_ms`: see `AgeClock`.
 */
type Name = 'paused' | 'own_folder' | 'clean_end' | 'indexed' | 'image_folders' | 'age_ms' | 'age_wall_ms';

export class ProgramState {
  readonly #sql: SqlConnection;

  constructor(sql: SqlConnection) {
    this.#sql = sql;
  }

  get(name: Name): string | null {
    const row = this.#sql.get('SELECT value FROM settings WHERE name = ?', name);
    return row === undefined ? null : valueSchema.parse(row).value;
  }

  set(name: Name, value: string): void {
    this.#sql.run('INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)', name, value);
  }
}
