import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, test } from 'vitest';
import { entryFile } from '#main/lib/program-files.ts';
import { describeEngine } from '../../tests/support/engine-conformance.ts';
import { needsSharedFolder, sharedPath } from '../../tests/support/shared-folder.ts';
import { createEngine } from './create-engine.ts';
import type { EngineConfig } from './device-state.ts';
import { createNodeSpawn } from './spawn-node.ts';

const checkpointDir = sharedPath('models/storybook-uint4');
const cacheDir = mkdtempSync(join(tmpdir(), 'compiled-'));
afterAll(() => rmSync(cacheDir, { recursive: true }));

const config: EngineConfig = { device: 'cpu', deviceReason: 'the only one', accuracy: 'fast', memory: 'resident', threads: availableParallelism(), cacheDir };
const log = { info: () => {}, warn: () => {} };

if (existsSync(checkpointDir)) {
  describeEngine('the engine over the real process', {
    create: (options) =>
      createEngine({ spawn: createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: () => process.env }), devices: [config], log, ...options }),
    checkpointDir,
    checkpointIdentity: 'storybook-uint4',
    upscalerPath: sharedPath('models/real-esrgan/realesr-general-x4v3.safetensors'),
    upscalerIdentity: 'realesr-general-x4v3',
  });
} else {
  describe('the engine over the real process', () => {
    test('conforms', (context) => needsSharedFolder(context));
  });
}
