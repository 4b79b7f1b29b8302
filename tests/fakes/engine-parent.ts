import { createEngine } from '#main/engine/create-engine.ts';
import { spawnFakeEngine } from './fake-engine.ts';

/** A program that starts the engine on a task without end and prints the id of the engine's process, so that a test can kill this one. */

const engine = createEngine({
  spawn: spawnFakeEngine({ always: 'stall@2' }),
  devices: [{ device: 'cpu', deviceReason: 'the only one', accuracy: 'fast', memory: 'auto', threads: 1, cacheDir: '/nowhere' }],
  log: { info: () => {}, warn: () => {} },
});
await engine.generate(
  {
    params: { prompt: 'a cat', width: 256, height: 256, steps: 4, guidance_scale: 0, seed: 1, model_type: 'uint4' },
    checkpointDir: '/fake',
    checkpointIdentity: 'fake',
    outputPath: '/nowhere/a.png',
    provenance: null,
  },
  { onProgress: ({ stage }) => stage === 'generating' && console.log(engine.pid()), onModelDone: () => {} },
  new AbortController().signal,
);
