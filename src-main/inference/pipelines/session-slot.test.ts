import { expect, test } from 'vitest';
import type { CompiledGraph } from '#main/lib/compiled.ts';
import { createSessionSlot } from './session-slot.ts';

const graph = (name: string): CompiledGraph => ({ onnxPath: name, weightsDir: '' });

test('one graph at a time is in memory: it stays for its own runs and goes before another is loaded', async () => {
  const seen: string[] = [];
  const slot = createSessionSlot(async ({ onnxPath }) => {
    seen.push(`load ${onnxPath}`);
    return {
      run: async () => {
        seen.push(`run ${onnxPath}`);
        return {};
      },
      release: async () => {
        seen.push(`release ${onnxPath}`);
      },
    };
  });
  const [encoder, denoiser] = [slot(graph('encoder')), slot(graph('denoiser'))];
  await encoder.run({});
  await denoiser.run({});
  await denoiser.run({});
  await encoder.release();
  await denoiser.release();
  expect(seen).toEqual(['load encoder', 'run encoder', 'release encoder', 'load denoiser', 'run denoiser', 'run denoiser', 'release denoiser']);
});

test('a graph that cannot be loaded leaves the place free for the next', async () => {
  let isBroken = true;
  const slot = createSessionSlot(async () => {
    if (isBroken) throw new Error('no memory');
    return { run: async () => ({ out: Float32Array.of(1) }), release: async () => {} };
  });
  const session = slot(graph('a'));
  await expect(session.run({})).rejects.toThrow('no memory');
  isBroken = false;
  expect(await session.run({})).toEqual({ out: Float32Array.of(1) });
});
