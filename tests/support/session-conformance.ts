import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CreateSession, Session } from '#main/inference/session.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { manyTypes, outerProduct, roundedTo, rowSums } from './small-graphs.ts';

const WIDTH = 64;
const FACTOR = 3;
const THREADS = { threads: 2 };

/** The contract of every binding to ONNX Runtime. Without `hasBfloat16`, the test expects the binding's refusal of that type. */
export function describeSessions(create: CreateSession, { hasBfloat16 }: { hasBfloat16: boolean }): void {
  let dir = '';
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sessions-'));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  /** `n` rows whose sums are n, n + 1, ... */
  const rowsOf = (n: number) => ({ data: Float32Array.from({ length: n * WIDTH }, (_, i) => (n + Math.floor(i / WIDTH)) / WIDTH), shape: [n, WIDTH] });
  const sumsOf = (n: number) => Float32Array.from({ length: n * WIDTH }, (_, i) => (n + Math.floor(i / WIDTH)) * FACTOR);

  test('shapes differ from run to run, and weights are in a separate file', async () => {
    const session = await create(await rowSums(dir, WIDTH, FACTOR), THREADS);
    for (const n of [1, 7, 2, 64, 1]) expect(await session.run({ rows: rowsOf(n) })).toEqual({ sums: sumsOf(n) });
    await session.release();
  });

  test('a session that runs rarely gives the same result each time', async () => {
    const session = await create(await rowSums(dir, WIDTH, FACTOR), { ...THREADS, runsSeldom: true });
    for (const n of [64, 1, 64]) expect(await session.run({ rows: rowsOf(n) })).toEqual({ sums: sumsOf(n) });
    await session.release();
  });

  test('float32, int64 and bool inputs, two outputs; a tensor may be passed again', async () => {
    const session = await create(await manyTypes(dir), THREADS);
    const table = { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [3, 2] };
    const mask = { data: Uint8Array.of(1, 0, 1), shape: [3, 1] };
    const chosen = Float32Array.of(1, 2, 0, 0, 5, 6);
    for (const [ids, picked] of [
      [
        [2n, 0n],
        [5, 6, 1, 2],
      ],
      [[1n], [3, 4]],
    ] as const) {
      const outputs = await session.run({ table, mask, ids: { data: BigInt64Array.from(ids), shape: [ids.length] } });
      expect(outputs).toEqual({ picked: Float32Array.from(picked), chosen });
    }
    await session.release();
  });

  test('16-bit outputs are returned as float32', async () => {
    // the smallest value above 1 is 1 + 2^-7 in bfloat16, 1 + 2^-10 in float16; 65504 is float16's largest value and rounds to 65536 in bfloat16
    const values = { data: Float32Array.of(0, -1, 1 + 2 ** -7, 1 + 2 ** -10, 65504, 2 ** -24, Number.POSITIVE_INFINITY), shape: [7] };
    const half = await create(await roundedTo(dir, 'float16'), THREADS);
    expect(await half.run({ values })).toEqual({ rounded: values.data });
    await half.release();
    const loading = roundedTo(dir, 'bfloat16').then((graph) => create(graph, THREADS));
    if (!hasBfloat16) {
      expect(await refusalOf(loading)).toMatchObject({ code: 'engine_failed', message: expect.stringMatching(/\(bfloat16\).*say c-api/) });
      return;
    }
    const brain = await loading;
    expect(await brain.run({ values })).toEqual({ rounded: Float32Array.of(0, -1, 1 + 2 ** -7, 1, 65536, 2 ** -24, Number.POSITIVE_INFINITY) });
    await brain.release();
  });

  test('an output without elements', async () => {
    const session = await create(await rowSums(dir, WIDTH, FACTOR), THREADS);
    expect(await session.run({ rows: rowsOf(0) })).toEqual({ sums: new Float32Array() });
    await session.release();
  });

  test('wrong inputs are refused with a reason, and the session keeps working', async () => {
    const session = await create(await rowSums(dir, WIDTH, FACTOR), THREADS);
    const faults = [
      [{}, /takes the inputs rows; given were none/],
      [{ row: rowsOf(1) }, /takes the inputs rows; given were row\./],
      [{ rows: { data: BigInt64Array.from({ length: WIDTH }, () => 1n), shape: [1, WIDTH] } }, /expected: \(tensor\(float\)\)/],
      [{ rows: { data: new Float32Array(WIDTH), shape: [WIDTH, 1] } }, /Got: 1 Expected: 64/],
      [{ rows: { data: new Float32Array(WIDTH - 1), shape: [1, WIDTH] } }, /has the shape \[1, 64\], 64 values; given were 63/],
    ] as const;
    for (const [inputs, sentence] of faults) {
      expect(await refusalOf(session.run(inputs))).toMatchObject({ code: 'engine_failed', message: expect.stringMatching(sentence) });
      expect(await session.run({ rows: rowsOf(2) })).toEqual({ sums: sumsOf(2) });
    }
    await session.release();
  });

  test('a graph that is invalid, missing or lacks its weights is refused by name', async () => {
    const noGraph = join(dir, 'no-graph.onnx');
    await writeFile(noGraph, 'not a graph');
    expect(await refusalOf(create({ onnxPath: noGraph, weightsDir: dir }, THREADS))).toMatchObject({
      code: 'engine_failed',
      message: expect.stringContaining(noGraph),
    });
    const absent = join(dir, 'absent.onnx');
    expect(await refusalOf(create({ onnxPath: absent, weightsDir: dir }, THREADS))).toMatchObject({
      code: 'engine_failed',
      message: expect.stringContaining(absent),
    });
    const own = await mkdtemp(join(dir, 'weights-'));
    const graph = await rowSums(own, WIDTH, FACTOR);
    await truncate(join(own, 'weights.bin'), 16);
    expect(await refusalOf(create(graph, THREADS))).toMatchObject({ code: 'engine_failed', message: expect.stringContaining(graph.onnxPath) });
    await rm(join(own, 'weights.bin'));
    expect(await refusalOf(create(graph, THREADS))).toMatchObject({ code: 'engine_failed', message: expect.stringContaining('weights.bin') });
  });

  test('an allocation that fails is reported as such', async () => {
    const session = await create(await outerProduct(dir), THREADS);
    const [many, two] = [new Float32Array(2 ** 24).fill(1), Float32Array.of(1, 2)];
    const refusal = await refusalOf(session.run({ column: { data: many, shape: [many.length, 1] }, row: { data: many, shape: [1, many.length] } })); // 1 PiB, more than the address space
    expect(refusal).toMatchObject({ code: 'engine_out_of_memory', message: expect.stringMatching(/not enough memory/) });
    expect(await session.run({ column: { data: two, shape: [2, 1] }, row: { data: two, shape: [1, 2] } })).toEqual({ product: Float32Array.of(1, 2, 2, 4) });
    await session.release();
  });

  test('a released session refuses runs, and a second release does nothing', async () => {
    const session = await create(await rowSums(dir, WIDTH, FACTOR), THREADS);
    await session.release();
    await session.release();
    expect(await refusalOf(session.run({ rows: rowsOf(1) }))).toMatchObject({ code: 'engine_failed', message: expect.stringMatching(/was released/) });
  });

  test('runs of one session and of many at once, and a release that waits for them', async () => {
    const graph = await rowSums(dir, WIDTH, FACTOR);
    const sessions: Session[] = await Promise.all(Array.from({ length: 8 }, () => create(graph, THREADS)));
    const runs = sessions.flatMap((session) => [3, 1, 5].map(async (n) => [n, await session.run({ rows: rowsOf(n) })] as const));
    const released = sessions.map((session) => session.release());
    for (const [n, outputs] of await Promise.all(runs)) expect(outputs).toEqual({ sums: sumsOf(n) });
    await Promise.all(released);
  });

  test('a run that is cancelled before its start does not run', async () => {
    const session = await create(await rowSums(dir, WIDTH, FACTOR), THREADS);
    expect(await refusalOf(session.run({ rows: rowsOf(1) }, { cancelled: true }))).toMatchObject({ code: 'cancelled' });
    expect(await session.run({ rows: rowsOf(1) }, { cancelled: false })).toEqual({ sums: sumsOf(1) });
    await session.release();
  });

  test('200 runs and 40 sessions leak no memory', async () => {
    const graph = await rowSums(dir, WIDTH, FACTOR);
    const rows = { data: new Float32Array(2 ** 19), shape: [2 ** 19 / WIDTH, WIDTH] }; // 2 MiB in, 2 MiB out
    const round = async (sessions: number, runs: number) => {
      for (let i = 0; i < sessions; i++) {
        const session = await create(graph, THREADS);
        for (let j = 0; j < runs; j++) await session.run({ rows: { ...rows } });
        await session.release();
      }
    };
    await round(4, 5);
    const before = process.memoryUsage.rss();
    await round(40, 5);
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 2 ** 20);
  });
}

/** The `AppError` that the promise rejected with; null if it resolved. Rethrows anything else. */
export async function refusalOf(promise: Promise<unknown>): Promise<AppError | null> {
  try {
    await promise;
    return null;
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown;
    throw thrown;
  }
}
