import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { assertCudaKernels } from '#main/compiler/graph/cuda-kernels.ts';
import { emulateHalf } from '#main/compiler/graph/emulate-half.ts';
import { verifyGraph } from '#main/compiler/graph/verify.ts';
import { writeOnnx } from '#main/compiler/onnx/writer.ts';
import { createSession } from '#main/inference/ort.ts';
import type { CreateSession } from '#main/inference/session.ts';
import { probeDevice } from './probe.ts';
import { probeCases } from './probe-cases.ts';
import type { ProbedOperator } from './protocol.ts';

const cpu = { session: { provider: 'cpu', threads: 1 }, precision: 'fp32', tolerance: 1e-5 } as const;

/** ONNX Runtime whose graphs that contain `op` go through `change`. */
function broken(op: string, change: (values: Float32Array) => Float32Array): CreateSession {
  return async (graph, options) => {
    const isBroken = (await readFile(graph.onnxPath, 'latin1')).includes(op);
    const session = await createSession(graph, options);
    return {
      run: async (inputs, signal) => {
        const outputs = await session.run(inputs, signal);
        return isBroken ? Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, change(values)])) : outputs;
      },
      release: () => session.release(),
    };
  };
}

test('the CPU runs every operator right, and its rate is measured', async () => {
  const operators: ProbedOperator[] = [];
  const { error, tolerance, milliseconds, productRate } = await probeDevice(cpu, (operator) => operators.push(operator));
  expect(error).toBeLessThan(tolerance);
  expect(milliseconds).toBeGreaterThan(0);
  expect(productRate).toBeGreaterThan(1e6);
  expect(operators.map(({ name }) => name.replace(/[, ].*/, ''))).toEqual(
    expect.arrayContaining([
      'Conv',
      'MatMulNBits',
      'SimplifiedLayerNormalization',
      'RotaryEmbedding',
      'MultiHeadAttention',
      'QuickGelu',
      'Cast',
      'Slice',
      'Concat',
      'Transpose',
      'Mul',
    ]),
  );
});

test.each(['RotaryEmbedding', 'MatMulNBits', 'Slice'])('a broken %s is named, and nothing runs after it', async (op) => {
  const operators: ProbedOperator[] = [];
  const scaled = broken(op, (values) => values.map((value) => value * 1.01));
  const found = await probeDevice({ ...cpu, create: scaled }, (operator) => operators.push(operator));
  expect(found).toMatchObject({ operator: { name: expect.stringMatching(op), type: 'float32' }, productRate: 0 });
  expect(found.error).toBeGreaterThan(cpu.tolerance);
  expect(operators.at(-1)).toEqual(found.operator);
  const nans = broken(op, (values) => values.fill(Number.NaN, 3, 4));
  expect(await probeDevice({ ...cpu, create: nans }, () => {})).toMatchObject({ operator: found.operator, error: null });
});

test.each(['bf16', 'fp16'] as const)('the expected numbers hold for the operators in %s, and CUDA has a kernel for each', async (precision) => {
  const dir = await mkdtemp(join(tmpdir(), 'probe-test-'));
  try {
    for (const { operator, type, graph, input, shape, expected } of probeCases(precision)) {
      const types = verifyGraph(graph);
      assertCudaKernels(graph, types);
      const onnxPath = join(dir, 'probe.onnx');
      await writeFile(onnxPath, writeOnnx(emulateHalf(graph, types), '', '1'));
      const session = await createSession({ onnxPath, weightsDir: dir }, { threads: 1 });
      const { y } = await session.run({ x: { data: input, shape } });
      await session.release();
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const difference = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (y?.[i] ?? Number.NaN))), 0);
      expect(difference / largest, `${operator} in ${type}`).toBeLessThan(type === 'float32' ? 1e-5 : 1e-2);
    }
  } finally {
    await rm(dir, { recursive: true });
  }
});
