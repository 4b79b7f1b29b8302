import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';

const root = import.meta.dirname;

/** Tests share two cores with each other, and some with a browser or an app, so slow is not wrong. */
const patience = { poll: { timeout: 15_000 } };

export default defineConfig({
  test: {
    reporters: ['default', './scripts/vitest-tally.ts'],
    projects: [
      {
        resolve: { alias: { electron: resolve(root, 'tests/doubles/electron.ts') } },
        test: {
          name: 'unit',
          sequence: { groupOrder: 0 },
          include: ['src-*/**/*.test.{ts,tsx}', 'tests/*.test.ts', 'tests/{contract,faults,fuzz}/**/*.test.ts', 'bench/**/*.test.ts'],
          environment: 'node',
          pool: 'forks',
          // the default on two cores is one
          maxWorkers: 2,
          expect: patience,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'goldens',
          sequence: { groupOrder: 1 },
          include: ['tests/goldens/**/*.test.ts'],
          environment: 'node',
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'e2e',
          sequence: { groupOrder: 2 },
          include: ['tests/e2e/**/*.test.ts'],
          expect: patience,
          environment: 'node',
          pool: 'forks',
          // each mostly waits: a browser or an app draws, a server answers
          maxWorkers: 2,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
