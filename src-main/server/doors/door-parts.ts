import { randomInt } from 'node:crypto';
import type { Images } from '#main/images/images.ts';
import type { Jobs } from '#main/jobs/jobs.ts';
import type { ModelLibrary } from '#main/models/library.ts';
import type { UploadGate } from '../upload-gate.ts';
import type { DoorTiming } from './delivery.ts';

/** What every door works with. */
export interface DoorParts {
  jobs: Jobs;
  library: ModelLibrary;
  images: Images;
  /** Limits the memory of large bodies. */
  gate: UploadGate;
  timing: DoorTiming;
}

const MAX_SEED = 2 ** 32;

/** For a request that names no seed. */
export function newSeed(): number {
  return randomInt(MAX_SEED);
}
