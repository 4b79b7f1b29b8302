import { z } from 'zod';
import { type JobWork, stepsOf } from '#shared/domain/job.ts';
import type { QueueSummary } from '#shared/domain/job-record.ts';
import type { SqlConnection } from './sql-connection.ts';
import type { ModelName, StoredJob } from './stored-job.ts';

/** What the time of an image depends on. */
export interface ImageKind {
  /** Null for a job that only upscales. */
  checkpoint: ModelName | null;
  /** Null for a job that does not upscale its image. */
  upscalerIdentity: string | null;
  width: number;
  height: number;
  steps: number;
  guided: boolean;
}

/** Milliseconds of a job's model work, from earlier images of its kind. `writeMs` follows the last stage, beside the next job's model work. */
export interface MeasuredWork {
  generateMs: number;
  upscaleMs: number;
  writeMs: number;
}

export function imageKindOf(job: JobWork & Pick<StoredJob, 'checkpoint' | 'upscaler'>): ImageKind {
  const { width, height } = job.params;
  const guided = 'guidance_scale' in job.params && job.params.guidance_scale > 0;
  return { checkpoint: job.checkpoint, upscalerIdentity: job.upscaler?.identity ?? null, width, height, steps: stepsOf(job) ?? 0, guided };
}

/** Weight of the newest measurement against all earlier ones. */
const NEWEST_WEIGHT = 0.5;
const KIND_IS = 'checkpoint_identity = ? AND upscaler_identity = ? AND width = ? AND height = ? AND steps = ? AND guided = ?';

const workRowSchema = z.object({ generate_ms: z.number(), upscale_ms: z.number().nullable(), write_ms: z.number().nullable() });
const kindRowSchema = z
  .object({
    checkpoint_name: z.string(),
    width: z.number(),
    height: z.number(),
    steps: z.number(),
    generate_ms: z.number(),
    upscale_ms: z.number().nullable(),
    pictures: z.number(),
  })
  .transform(({ checkpoint_name, ...row }): QueueSummary['measured'][number] => ({ checkpoint: checkpoint_name, ...row }));

/** How long images of each kind took on this machine. */
export class TimingRepository {
  readonly #sql: SqlConnection;

  constructor(sql: SqlConnection) {
    this.#sql = sql;
  }

  /** Null until all parts of such a job were measured. The time to write a single image is not measured: it counts as none. */
  of(kind: ImageKind): MeasuredWork | null {
    const row = this.#sql.get(`SELECT generate_ms, upscale_ms, write_ms FROM timings WHERE ${KIND_IS}`, ...keyOf(kind));
    if (row === undefined) return null;
    const { generate_ms, upscale_ms, write_ms } = workRowSchema.parse(row);
    if (kind.checkpoint === null || kind.upscalerIdentity === null) return { generateMs: generate_ms, upscaleMs: 0, writeMs: 0 };
    return upscale_ms === null || write_ms === null ? null : { generateMs: generate_ms, upscaleMs: upscale_ms, writeMs: write_ms };
  }

  addGenerateTime(kind: ImageKind, ms: number, nowMs: number): void {
    this.#sql.run(
      `INSERT INTO timings (checkpoint_identity, upscaler_identity, width, height, steps, guided, checkpoint_name, generate_ms, pictures, measured_at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?)
       ON CONFLICT DO UPDATE SET generate_ms = generate_ms + ${NEWEST_WEIGHT} * (excluded.generate_ms - generate_ms), pictures = pictures + 1,
         checkpoint_name = excluded.checkpoint_name, measured_at_ms = excluded.measured_at_ms`,
      ...keyOf(kind),
      kind.checkpoint?.name ?? '',
      ms,
      nowMs,
    );
  }

  addUpscaleTime(kind: ImageKind, upscaleMs: number, writeMs: number): void {
    const mean = (column: string) => `${column} = coalesce(${column} + ${NEWEST_WEIGHT} * (? - ${column}), ?)`;
    const sql = `UPDATE timings SET ${mean('upscale_ms')}, ${mean('write_ms')} WHERE ${KIND_IS}`;
    this.#sql.run(sql, upscaleMs, upscaleMs, writeMs, writeMs, ...keyOf(kind));
  }

  /** Times of images from text, the latest first. */
  list(limit: number): QueueSummary['measured'] {
    return this.#sql
      .all("SELECT * FROM timings WHERE checkpoint_identity <> '' ORDER BY measured_at_ms DESC LIMIT ?", limit)
      .map((row) => kindRowSchema.parse(row));
  }
}

function keyOf(kind: ImageKind): [string, string, number, number, number, number] {
  return [kind.checkpoint?.identity ?? '', kind.upscalerIdentity ?? '', kind.width, kind.height, kind.steps, kind.guided ? 1 : 0];
}
