import type { CheckpointCompilation } from '#main/compiler/compile.ts';
import type { SafetensorsFile } from '#main/compiler/safetensors/open-safetensors.ts';
import type { CompiledCheckpoint, GraphTarget } from '#main/lib/compiled.ts';
import type { ParityLora } from './compare-loras.ts';
import type { Comparison } from './comparison.ts';

export interface CompareRequest {
  path: string;
  /** safetensors file of goldens; names as in the goldens' README. */
  expectedPath: string;
  target: ParityTarget;
  cacheDir: string;
  threads: number;
  /** Whether an unquantized checkpoint is quantized to int8 rows, as for a device with too little memory. */
  int8Rows?: boolean;
  /** LoRAs whose goldens are compared. */
  loras?: readonly ParityLora[];
  /** A ControlNet whose goldens are compared. */
  controlNet?: string;
}

/** Targets whose graphs run on a CPU. */
export type ParityTarget = Exclude<GraphTarget, `gpu-${string}`>;

/** What the comparison of one architecture is given. */
export interface CompareWork<Compiled extends CompiledCheckpoint> {
  request: CompareRequest;
  compiled: Compiled & CheckpointCompilation;
  goldens: SafetensorsFile;
  /** What one forward may differ by, relative to the largest value; null where the difference is only printed. */
  tensorLimit: number | null;
  imageLimitDb: number;
}

export type Compare<Compiled extends CompiledCheckpoint> = (work: CompareWork<Compiled>) => AsyncGenerator<Comparison>;

/** How a request's checkpoint is compiled. */
export function compileOptions({ path, cacheDir, target, int8Rows }: CompareRequest) {
  return { checkpointDir: path, cacheDir, identity: path, target, roomBytes: int8Rows ? 0 : null };
}
