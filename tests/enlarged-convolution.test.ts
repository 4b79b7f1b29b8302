import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CompileJob } from '#main/compiler/compile-job.ts';
import { enlargedConvolution } from '#main/compiler/ops/convolution.ts';
import { createSession } from '#main/inference/ort.ts';
import { torchRandn } from '#main/inference/rng.ts';
import { relativeDifference } from '#main/parity/comparison.ts';
import { safetensorsOf } from './support/safetensors-bytes.ts';

const [IN, OUT, HEIGHT, WIDTH] = [3, 5, 4, 6];
const kernels = torchRandn(1, OUT * IN * 9);
const bias = Float32Array.of(0.5, -1, 2, 0, 1);
const x = torchRandn(3, IN * HEIGHT * WIDTH);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'enlarged-convolution-'));
  const tensor = (shape: number[], values: Float32Array) => ({ dtype: 'F32', shape, data: new Uint8Array(values.buffer) });
  await writeFile(join(folder, 'w.safetensors'), safetensorsOf({ 'up.weight': tensor([OUT, IN, 3, 3], kernels), 'up.bias': tensor([OUT], bias) }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** By definition: every pixel of x four times, then 3 x 3 with zero padding. */
function expected(): Float32Array {
  const [height, width] = [2 * HEIGHT, 2 * WIDTH];
  const pixel = (channel: number, row: number, column: number): number => {
    if (row < 0 || column < 0 || row >= height || column >= width) return 0;
    return x[(channel * HEIGHT + (row >> 1)) * WIDTH + (column >> 1)] as number;
  };
  return Float32Array.from({ length: OUT * height * width }, (_, at) => {
    const [out, row, column] = [Math.floor(at / (height * width)), Math.floor(at / width) % height, at % width];
    let sum = bias[out] as number;
    for (let i = 0; i < IN * 9; i++) {
      sum += (kernels[out * IN * 9 + i] as number) * pixel(Math.floor(i / 9), row + (Math.floor(i / 3) % 3) - 1, column + (i % 3) - 1);
    }
    return sum;
  });
}

test.each(['cpu-exact', 'cpu-fast'] as const)(
  '%s: a folded convolution equals a convolution over an image twice as large, at its edges too',
  async (target) => {
    const job = new CompileJob({ writeDir: folder, finalDir: folder }, target);
    const compiled = await job.graph(target, await job.openFile(join(folder, 'w.safetensors')), async (graph, weights) => {
      const input = graph.input('x', 'float32', [1, IN, 'height', 'width']);
      graph.output(enlargedConvolution(graph, weights, 'up', input, OUT), 'y');
      return graph.finish();
    });
    const session = await createSession(compiled, { threads: 1 });
    const { y } = await session.run({ x: { data: x, shape: [1, IN, HEIGHT, WIDTH] } });
    await session.release();
    expect(y).toHaveLength(OUT * 4 * HEIGHT * WIDTH);
    expect(relativeDifference(y ?? new Float32Array(), expected())).toBeLessThan(1e-5);
  },
);
