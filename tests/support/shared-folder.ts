import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'vitest';

const folder = join(import.meta.dirname, '../../../shared');

/** A path inside the folder of goldens and checkpoints, which may exist beside the repository. */
export function sharedPath(...parts: string[]): string {
  return join(folder, ...parts);
}

/** Skips the running test, with its reason, on a machine without that folder. */
export function needsSharedFolder(context: TestContext): void {
  context.skip(!existsSync(folder), 'needs ../shared (goldens and checkpoints) beside the repository');
}

/** Every checkpoint in it: ten with random weights and the two trained ones. */
export const sharedCheckpoints = [
  'goldens/random-uint4-svd32',
  'goldens/random-int8',
  'goldens/random-int8-groups',
  'goldens/published-uint4',
  'goldens/published-int8',
  'goldens/hadamard-dynamic',
  'goldens/original-bf16',
  'goldens/single-and-index',
  'goldens/slow-tokenizer',
  'goldens/thirty-layers',
  'models/storybook-uint4',
  'models/storybook-int8',
];
