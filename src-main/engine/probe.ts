import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GraphBuilder } from '#main/compiler/graph/builder.ts';
import type { Graph } from '#main/compiler/graph/ir.ts';
import { writeOnnx } from '#main/compiler/onnx/writer.ts';
import { cast } from '#main/compiler/ops/basic.ts';
import { matMulNBits } from '#main/compiler/ops/linear.ts';
import { numericsOf } from '#main/compiler/ops/numerics.ts';
import { createSession } from '#main/inference/ort.ts';
import type { CreateSession, SessionOptions } from '#main/inference/session.ts';
import { probeCases } from './probe-cases.ts';
import type { Precision, ProbedOperator, ProbeResult } from './protocol.ts';

export interface ProbeOptions {
  session: SessionOptions;
  precision: Precision;
  /** The error that is allowed in float32. */
  tolerance: number;
  /** ONNX Runtime, if it is not to be the real one. */
  create?: CreateSession;
}

/** bfloat16 has 8 bits of mantissa. */
const HALF_TOLERANCE = 2e-2;
const RUNS = 3;
/** The chain that is timed, on a GPU and on a CPU. */
const GPU_CHAIN = { products: 32, rows: 1024 };
const CPU_CHAIN = { products: 1, rows: 256 };
const [WIDTH, BLOCK] = [2048, 128];

/**
 * Runs each operator of a checkpoint's graphs on an execution provider, in the types of `precision`, and compares it with sums made here; then times a chain of
 * products. `onOperator` is called before each. Throws what ONNX Runtime throws.
 */
export async function probeDevice(
  { session: options, precision, tolerance: exactTolerance, create = createSession }: ProbeOptions,
  onOperator: (operator: ProbedOperator) => void,
): Promise<ProbeResult> {
  const dir = await mkdtemp(join(tmpdir(), 'probe-'));
  const onnxPath = join(dir, 'probe.onnx');
  const open = async (graph: Graph) => {
    await writeFile(onnxPath, writeOnnx(graph, '', '1'));
    return create({ onnxPath, weightsDir: dir }, options);
  };
  try {
    let last: Pick<ProbeResult, 'operator' | 'error' | 'tolerance'> | undefined;
    for (const { operator: name, type, graph, input, shape, expected } of probeCases(precision)) {
      const operator = { name, type };
      onOperator(operator);
      const session = await open(graph);
      const { y } = await session.run({ x: { data: input, shape } });
      await session.release();
      last = { operator, error: errorOf(y, expected), tolerance: type === 'float32' ? exactTolerance : HALF_TOLERANCE };
      if (last.error === null || last.error > last.tolerance) return { ...last, milliseconds: 0, productRate: 0 };
    }
    if (last === undefined) throw new Error(`There are no operators to probe in ${precision}.`);
    const isCpu = options.provider === 'cpu';
    const { products, rows } = isCpu ? CPU_CHAIN : GPU_CHAIN;
    const chain = await open(productChain(precision, products, rows, isCpu));
    const x = { data: new Float32Array(WIDTH).fill(1), shape: [1, WIDTH] };
    await chain.run({ x });
    const times: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const startedAt = performance.now();
      await chain.run({ x });
      times.push(performance.now() - startedAt);
    }
    await chain.release();
    const milliseconds = times.toSorted((a, b) => a - b)[1] ?? 0;
    return { ...last, milliseconds, productRate: (1000 * products * 2 * rows * WIDTH * WIDTH) / milliseconds };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** `x` [1, WIDTH], repeated on the device to `rows`, by the same weight several times. Small inputs and outputs, so that copies take no time. */
function productChain(precision: Precision, products: number, rows: number, isCpu: boolean): Graph {
  const { compute } = numericsOf[`gpu-${precision}`];
  const graph = new GraphBuilder('product_chain');
  const row = cast(graph, graph.input('x', 'float32', [1, WIDTH]), compute);
  const blob = graph.constant('uint8', [WIDTH, WIDTH / BLOCK, BLOCK / 2], new Uint8Array((WIDTH * WIDTH) / 2).fill(0x79));
  const scales = cast(graph, graph.floats(new Float32Array((WIDTH * WIDTH) / BLOCK).fill(1 / 64)), compute);
  let x = graph.add('Gather', [row, graph.ints(new Array<number>(rows).fill(0))], { attributes: { axis: 0 } });
  for (let i = 0; i < products; i++) x = matMulNBits(graph, x, { blob, scales, block: BLOCK, bits: 4 }, { n: WIDTH, k: WIDTH }, isCpu ? 4 : 0);
  const first = graph.add('Slice', [x, graph.ints([0]), graph.ints([1])], { hints: { size: 1 } });
  graph.output(cast(graph, first, 'float32'), 'y');
  return graph.finish();
}

function errorOf(found: Float32Array | undefined, right: Float32Array): number | null {
  let [difference, largest] = [0, 0];
  if (found?.length !== right.length) return null;
  for (const [i, value] of right.entries()) {
    const seen = found[i] ?? Number.NaN;
    if (!Number.isFinite(seen)) return null;
    difference = Math.max(difference, Math.abs(seen - value));
    largest = Math.max(largest, Math.abs(value));
  }
  return difference / largest;
}
