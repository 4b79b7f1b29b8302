import { randomInt } from 'node:crypto';
import type { ModelLibrary } from '#main/models/library.ts';
import type { UploadGate } from '../upload-gate.ts';
import type { DoorTiming } from './delivery.ts';
import type { InputParts } from './input-image.ts';

/** What every door works with. */
export interface DoorParts extends InputParts {
  library: ModelLibrary;
  /** Limits the memory of large bodies. */
  gate: UploadGate;
  timing: DoorTiming;
}

const MAX_SEED = 2 ** 32;

/** For a request that names no seed. */
export function newSeed(): number {
  return randomInt(MAX_SEED);
}
