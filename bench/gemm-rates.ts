import { randomFillSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GraphBuilder } from '#main/compiler/graph/builder.ts';
import type { Graph, Initializer } from '#main/compiler/graph/ir.ts';
import { writeOnnx } from '#main/compiler/onnx/writer.ts';
import { createSession } from '#main/inference/ort.ts';
import { torchRandn } from '#main/inference/rng.ts';
import type { PeerBench } from './torch-peer.ts';

/** Sides of the weight. */
const SIDE = 3840;
const BLOCK = 128;
const BITS = 4;

/** A way to compute x [tokens, 3840] times a weight [3840, 3840]. */
interface Product {
  name: string;
  /** Milliseconds of one product. */
  time(): Promise<number>;
  release(): Promise<void>;
}

/** The fastest product of its kind on this machine. */
export interface FastestProduct {
  name: string;
  /** Floating point operations a millisecond, measured now: a multiplication and an addition are two. */
  rate(): Promise<number>;
  release(): Promise<void>;
}

/** Products on int8: activations quantized on the way in by ONNX Runtime, which is part of their time, and bare int8 by PyTorch. */
export async function fastestInt8(bench: PeerBench, tokens: number): Promise<FastestProduct> {
  return fastest(tokens, [
    await ortProduct('MatMulNBits, accuracy level 4', nBitsGraph(), bench, tokens),
    await ortProduct('MatMulInteger', integerGraph(), bench, tokens),
    torchProduct('torch._int_mm', 'int8_matmul_rate', bench, tokens),
  ]);
}

/** Products of float32. */
export async function fastestFloat(bench: PeerBench, tokens: number): Promise<FastestProduct> {
  return fastest(tokens, [
    await ortProduct('Gemm of ONNX Runtime', floatGraph(), bench, tokens),
    torchProduct('matmul of torch', 'matmul_rate', bench, tokens),
  ]);
}

async function fastest(tokens: number, products: readonly Product[]): Promise<FastestProduct> {
  const timed: { product: Product; ms: number }[] = [];
  for (const product of products) {
    await product.time();
    const ms = Math.min(await product.time(), await product.time());
    console.log(`${tokens} tokens, ${product.name}: ${(operations(tokens) / ms / 1e6).toFixed(0)} GFLOP/s`);
    timed.push({ product, ms });
  }
  timed.sort((a, b) => a.ms - b.ms);
  const [best, ...others] = timed.map(({ product }) => product);
  if (best === undefined) throw new Error('there is no product to time');
  for (const other of others) await other.release();
  return { name: best.name, rate: async () => operations(tokens) / (await best.time()), release: best.release };
}

function operations(tokens: number): number {
  return 2 * tokens * SIDE * SIDE;
}

function torchProduct(name: string, op: string, { peer }: PeerBench, tokens: number): Product {
  return { name, time: () => peer.time(op, { m: tokens, k: SIDE, n: SIDE }), release: async () => {} };
}

async function ortProduct(name: string, graph: Graph, { folder, threads }: PeerBench, tokens: number): Promise<Product> {
  const onnxPath = join(folder, `${graph.name}-${tokens}.onnx`);
  await writeFile(onnxPath, writeOnnx(graph, folder, 'bench'));
  const session = await createSession({ onnxPath, weightsDir: folder }, { threads });
  const x = { data: torchRandn(1, tokens * SIDE), shape: [tokens, SIDE] };
  return {
    name,
    time: async () => {
      const startedAt = performance.now();
      await session.run({ x });
      return performance.now() - startedAt;
    },
    release: () => session.release(),
  };
}

function nBitsGraph(): Graph {
  const graph = new GraphBuilder('n_bits');
  const x = graph.input('x', 'float32', ['tokens', SIDE]);
  const blocks = SIDE / BLOCK;
  const weight = graph.constant('uint8', [SIDE, blocks, (BLOCK * BITS) / 8], randomFillSync(new Uint8Array((SIDE * SIDE * BITS) / 8)));
  const scales = graph.floats(new Float32Array(SIDE * blocks).fill(1 / 64));
  const attributes = { K: SIDE, N: SIDE, bits: BITS, block_size: BLOCK, accuracy_level: 4 };
  graph.output(graph.add('MatMulNBits', [x, weight, scales], { domain: 'com.microsoft', attributes }), 'y');
  return graph.finish();
}

function floatGraph(): Graph {
  const graph = new GraphBuilder('float');
  const x = graph.input('x', 'float32', ['tokens', SIDE]);
  const weight = graph.floats(torchRandn(2, SIDE * SIDE), [SIDE, SIDE]);
  graph.output(graph.add('Gemm', [x, weight], { attributes: { transB: 1 } }), 'y');
  return graph.finish();
}

/** Operators that no checkpoint's graph has, so they have no rule and are written here by hand. */
function integerGraph(): Graph {
  const constant = (name: string, type: 'int8' | 'float32', shape: number[], bytes: Uint8Array): Initializer => ({
    name,
    type,
    shape,
    data: { kind: 'inline', bytes },
  });
  const node = (op: string, inputs: string[], outputs: string[], attributes = {}) => ({ name: op, op, domain: '', inputs, outputs, attributes, hints: {} });
  return {
    name: 'integer',
    inputs: [{ name: 'x', type: 'float32', shape: ['tokens', SIDE] }],
    outputs: [{ name: 'y', type: 'float32', shape: ['tokens', SIDE] }],
    nodes: [
      node('DynamicQuantizeLinear', ['x'], ['quantized', 'scale', 'zero_point']),
      node('MatMulInteger', ['quantized', 'weight', 'zero_point'], ['sums']),
      node('Cast', ['sums'], ['floats'], { to: 1 }),
      node('Mul', ['floats', 'scale'], ['y']),
    ],
    initializers: [constant('weight', 'int8', [SIDE, SIDE], randomFillSync(new Uint8Array(SIDE * SIDE)))],
  };
}
