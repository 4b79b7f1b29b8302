import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { compileCheckpoint } from '#main/compiler/compile.ts';
import { CompileJob } from '#main/compiler/compile-job.ts';
import { GraphBuilder } from '#main/compiler/graph/builder.ts';
import { assertCudaKernels, cudaKernels } from '#main/compiler/graph/cuda-kernels.ts';
import { emulateHalf } from '#main/compiler/graph/emulate-half.ts';
import type { FloatType, Graph } from '#main/compiler/graph/ir.ts';
import { verifyGraph } from '#main/compiler/graph/verify.ts';
import { buildLayer } from '#main/compiler/models/transformer.ts';
import { loadTransformerConfig } from '#main/compiler/models/transformer-config.ts';
import { writeOnnx } from '#main/compiler/onnx/writer.ts';
import { add, cast, multiply } from '#main/compiler/ops/basic.ts';
import { createSession } from '#main/inference/ort.ts';
import { torchRandn } from '#main/inference/rng.ts';
import { captionPositions, rotaryTables } from '#main/inference/rotary.ts';
import type { Session } from '#main/inference/session.ts';
import type { GraphTarget } from '#main/lib/compiled.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { relativeDifference } from '#main/parity/comparison.ts';

/** The graphs for GPUs, as far as a machine without a GPU can test them: types, kernels and rounding. */

const classesSchema = z.object({ operators: z.record(z.string(), z.array(z.string())) });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gpu-graphs-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function sessionOf(graph: Graph): Promise<Session> {
  verifyGraph(graph);
  const onnxPath = join(folder, `${graph.name}.onnx`);
  await writeFile(onnxPath, writeOnnx(graph, folder, 'test'));
  return createSession({ onnxPath, weightsDir: folder }, { threads: 1 });
}

describe('every graph of a checkpoint', () => {
  const compile = (target: GraphTarget) =>
    compileCheckpoint({ checkpointDir: join(resourcesDir, 'models/storybook-uint4'), cacheDir: folder, identity: 'bundled', target }, () => {});

  // compiling refuses a node that CUDA has no kernel for
  test('in bfloat16: ONNX Runtime accepts its types, and lacks only kernels for it on the CPU', async () => {
    const { vaeEncoder, vaeDecoder, ...transformers } = (await compile('gpu-bf16')).parts;
    for (const { graph } of Object.values(transformers)) {
      await expect(createSession(graph, { threads: 1 })).rejects.toThrow(/Could not find an implementation for \S+ node/);
    }
  });

  test('in float16: ONNX Runtime loads it, on the CPU with its own casts', async () => {
    const { parts } = await compile('gpu-fp16');
    for (const part of Object.values(parts)) await (await createSession((part ?? expect.fail('there is no encoder')).graph, { threads: 1 })).release();
  });
});

test('our list of CUDA kernels matches its library', async () => {
  const { operators } = classesSchema.parse(JSON.parse(await readFile(join(import.meta.dirname, 'fixtures/cuda-classes.json'), 'utf8')));
  expect(Object.keys(cudaKernels)).toEqual(expect.arrayContaining(Object.keys(operators)));
  for (const [operator, types] of Object.entries(operators))
    expect({ operator, types }).toEqual({ operator, types: expect.arrayContaining([...(cudaKernels[operator] ?? [])]) });
  // the others move bytes of any type, except conversions
  const moving = ['Cast', 'Gather', 'Concat', 'Split', 'Slice', 'Transpose', 'Reshape', 'Shape', 'DepthToSpace'];
  expect(Object.keys(cudaKernels).filter((operator) => !(operator in operators))).toEqual(expect.arrayContaining(moving));
  expect(Object.keys(cudaKernels)).toHaveLength(moving.length + Object.keys(operators).length);
});

test('a node without a kernel on CUDA is refused by name', () => {
  const graph = new GraphBuilder('angles');
  const x = cast(graph, graph.input('x', 'float32', ['tokens', 4]), 'bfloat16');
  graph.output(cast(graph, graph.scope('layers.3').add('Cos', [x]), 'float32'), 'y');
  const built = graph.finish();
  expect(() => assertCudaKernels(built, verifyGraph(built))).toThrow(/layers\.3\/Cos: CUDA has kernels of Cos for float32, float16, and not for bfloat16/);
});

test.each<[FloatType, number[], number[]]>([
  // halfway between two neighbouring values of bfloat16 (8 bits) or float16 (11 bits): the even one
  ['bfloat16', [1 + 2 ** -8, 1 + 3 * 2 ** -8, 70_000, 2 ** -20], [2, 2 + 2 ** -5, 140_288, 2 ** -19]],
  ['float16', [1 + 2 ** -11, 1 + 3 * 2 ** -11, 40_000, 2 ** -24], [2, 2 + 2 ** -8, Number.POSITIVE_INFINITY, 2 ** -23]],
])('an emulated %s rounds what goes in and what comes out of a node', async (type, values, doubled) => {
  const graph = new GraphBuilder(`double-${type}`);
  const x = cast(graph, graph.input('x', 'float32', [values.length]), type);
  graph.output(cast(graph, add(graph, x, x), 'float32'), 'y');
  const built = graph.finish();
  const session = await sessionOf(emulateHalf(built, verifyGraph(built)));
  const { y } = await session.run({ x: { data: Float32Array.from(values), shape: [values.length] } });
  expect([...(y ?? [])]).toEqual(doubled);
  await session.release();
});

test('a float16 product beyond its range is infinite, even if a later factor is small: nothing is folded away', async () => {
  const graph = new GraphBuilder('overflow');
  const x = cast(graph, graph.input('x', 'float32', [1]), 'float16');
  graph.output(cast(graph, multiply(graph, multiply(graph, x, x), cast(graph, graph.floats([2 ** -7]), 'float16')), 'float32'), 'y');
  const built = graph.finish();
  const session = await sessionOf(emulateHalf(built, verifyGraph(built)));
  expect((await session.run({ x: { data: Float32Array.of(300), shape: [1] } }))['y']?.[0]).toBe(Number.POSITIVE_INFINITY);
  await session.release();
});

describe('a layer whose feed-forward leaves the range of float16', () => {
  const dir = join(resourcesDir, 'models/storybook-uint4/transformer');
  const tokens = 32;
  /** Factor by which the timestep's modulation is larger than usual. */
  const LARGE = 1000;

  /** `layers.0` on inputs whose modulation makes its inner values as large as in the real model. */
  async function run(target: GraphTarget, innerScale?: number): Promise<Float32Array> {
    const config = await loadTransformerConfig(dir);
    const compiledDir = join(folder, `${target}-${innerScale ?? 'own'}`);
    await mkdir(compiledDir);
    const job = new CompileJob({ writeDir: compiledDir, finalDir: compiledDir }, target);
    const compiled = await job.graph('layer', await job.openModel(dir, 'diffusion_pytorch_model'), (builder, weights) => {
      const numerics = { ...weights.numerics, ...(innerScale === undefined ? {} : { innerScale }) };
      return buildLayer(builder, config, weights.with({ numerics }), 0);
    });
    const session = await createSession(compiled, { threads: 1 });
    const { cos, sin, width } = rotaryTables({ theta: config.ropeTheta, axes: config.ropeAxes }, captionPositions(tokens));
    const { y } = await session.run({
      x: { data: torchRandn(1, tokens * config.width), shape: [tokens, config.width] },
      condition: { data: torchRandn(2, 256).map((value) => value * LARGE), shape: [1, 256] },
      cos: { data: cos, shape: [tokens, width] },
      sin: { data: sin, shape: [tokens, width] },
    });
    await session.release();
    return y ?? new Float32Array();
  }

  test("is finite and right with the numerics' scale, and is not without it", async () => {
    const right = await run('cpu-exact');
    expect(relativeDifference(await run('emulated-fp16'), right)).toBeLessThan(2e-3);
    expect(relativeDifference(await run('emulated-bf16'), right)).toBeLessThan(3e-2);
    expect((await run('emulated-fp16', 1)).every(Number.isFinite)).toBe(false);
  });
});
