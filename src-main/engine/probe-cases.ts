import { GraphBuilder } from '#main/compiler/graph/builder.ts';
import type { FloatType, Graph, Value } from '#main/compiler/graph/ir.ts';
import { add, attention, cast, concat, multiply, reshape, rmsNorm, rotate, silu, transpose } from '#main/compiler/ops/basic.ts';
import { matMulNBits } from '#main/compiler/ops/linear.ts';
import { numericsOf } from '#main/compiler/ops/numerics.ts';
import type { Precision } from './protocol.ts';

/** Input of every case, row-major. */
const [TOKENS, WIDTH] = [64, 256];
const HEADS = 2;
const HEAD_WIDTH = WIDTH / HEADS;
const BLOCK = 128;
const [CHANNELS, SIDE] = [16, 32];

/** One operator in one type, over `x` [TOKENS, WIDTH]: its graph, and the right result. */
export interface ProbeCase {
  operator: string;
  type: FloatType;
  graph: Graph;
  input: Float32Array;
  shape: readonly number[];
  expected: Float32Array;
}

interface Operator {
  name: string;
  build: (graph: GraphBuilder, x: Value) => Value;
  expected: (x: Float32Array) => Float32Array;
}

/** The operators that a checkpoint's graphs run on a device in `precision`, in the types that they have there: first what every precision needs. */
export function probeCases(precision: Precision): ProbeCase[] {
  const { stream, compute } = numericsOf[`gpu-${precision}`];
  return [
    ...imageOperators.map((operator) => caseOf(operator, 'float32')),
    ...streamOperators.map((operator) => caseOf(operator, stream)),
    ...computeOperators.map((operator) => caseOf(operator, compute)),
  ];
}

function caseOf({ name, build, expected }: Operator, type: FloatType): ProbeCase {
  const graph = new GraphBuilder(name);
  const x = cast(graph, graph.input('x', 'float32', [TOKENS, WIDTH]), type);
  graph.output(cast(graph, build(graph, x), 'float32'), 'y');
  const input = pattern(TOKENS * WIDTH, 7);
  return { operator: name, type, graph: graph.finish(), input, shape: [TOKENS, WIDTH], expected: expected(input) };
}

const rowFactors = pattern(WIDTH, 5);
const kernels = pattern(CHANNELS * CHANNELS * 9, 3);
const others = { a: pattern(TOKENS * WIDTH, 5).map((value) => value / 8), b: pattern(TOKENS * WIDTH, 9) };
const angles = Float32Array.from({ length: (TOKENS * HEAD_WIDTH) / 2 }, (_, i) => (i % 97) / 16);
const order = Array.from({ length: TOKENS }, (_, i) => (i * 11) % TOKENS);
const square = pattern(WIDTH * WIDTH, 3);

/** What VAE and upscaler run, in float32 on every device. */
const imageOperators: readonly Operator[] = [
  {
    name: 'Conv',
    build: (graph, x) => {
      const attributes = { kernel_shape: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] };
      const weight = graph.floats(kernels, [CHANNELS, CHANNELS, 3, 3]);
      return graph.add('Conv', [imageOf(graph, x), weight, graph.floats(new Float32Array(CHANNELS))], { attributes });
    },
    expected: convolved,
  },
  {
    name: 'InstanceNormalization',
    build: (graph, x) => {
      const ones = graph.floats(new Float32Array(TOKENS).fill(1));
      const inputs = [reshape(graph, x, [1, TOKENS, WIDTH]), ones, graph.floats(new Float32Array(TOKENS))];
      return graph.add('InstanceNormalization', inputs, { attributes: { epsilon: { float: 1e-6 } } });
    },
    expected: (x) =>
      byRow(x, (row) => {
        const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
        const deviation = Math.sqrt(row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length + 1e-6);
        return row.map((value) => (value - mean) / deviation);
      }),
  },
  {
    name: 'Resize',
    build: (graph, x) => {
      const attributes = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
      return graph.add('Resize', [imageOf(graph, x), null, graph.floats([1, 1, 2, 2])], { attributes, hints: { factor: 2 } });
    },
    expected: (x) => {
      const side = 2 * SIDE;
      return fill(CHANNELS * side * side, (i) => x[((Math.floor(i / side / side) * SIDE + (((i / side / 2) | 0) % SIDE)) * SIDE + ((i % side) >> 1)) | 0]);
    },
  },
];

/** What runs on the residual stream. */
const streamOperators: readonly Operator[] = [
  {
    name: 'SimplifiedLayerNormalization',
    build: (graph, x) => rmsNorm(graph, x, constant(graph, x, rowFactors, [WIDTH]), 1e-5),
    expected: (x) =>
      byRow(x, (row) => {
        const root = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) / row.length + 1e-5);
        return row.map((value, i) => (value / root) * (rowFactors[i] ?? 0));
      }),
  },
  {
    name: 'Add',
    build: (graph, x) => add(graph, x, constant(graph, x, rowFactors, [WIDTH])),
    expected: (x) => x.map((value, i) => value + (rowFactors[i % WIDTH] ?? 0)),
  },
  {
    name: 'Concat',
    build: (graph, x) => concat(graph, [x, constant(graph, x, others.b, [TOKENS, WIDTH])], 0),
    expected: (x) => Float32Array.of(...x, ...others.b),
  },
  {
    name: 'Slice',
    build: (graph, x) => graph.add('Slice', [x, graph.ints([8]), graph.ints([40])], { hints: { size: 32 } }),
    expected: (x) => x.slice(8 * WIDTH, 40 * WIDTH),
  },
];

/** What runs inside the layers. */
const computeOperators: readonly Operator[] = [
  { name: 'Cast', build: (graph, x) => cast(graph, x, x.type === 'float32' ? 'float16' : 'float32'), expected: (x) => x },
  {
    name: 'Gemm',
    build: (graph, x) => graph.add('Gemm', [x, constant(graph, x, square, [WIDTH, WIDTH])], { attributes: { transB: 1 } }),
    expected: (x) => product(x, square, TOKENS),
  },
  blockProduct(4, TOKENS),
  blockProduct(8, TOKENS),
  blockProduct(4, 1),
  {
    name: 'Mul',
    build: (graph, x) => multiply(graph, x, constant(graph, x, rowFactors, [WIDTH])),
    expected: (x) => x.map((value, i) => value * (rowFactors[i % WIDTH] ?? 0)),
  },
  { name: 'QuickGelu', build: silu, expected: (x) => x.map((value) => value / (1 + Math.exp(-value))) },
  {
    name: 'Transpose',
    build: (graph, x) => transpose(graph, x, [1, 0]),
    expected: (x) => fill(x.length, (i) => x[(i % TOKENS) * WIDTH + Math.floor(i / TOKENS)]),
  },
  {
    name: 'Gather',
    build: (graph, x) => graph.add('Gather', [x, graph.ints(order)], { attributes: { axis: 0 } }),
    expected: (x) => Float32Array.of(...order.flatMap((row) => [...x.subarray(row * WIDTH, (row + 1) * WIDTH)])),
  },
  rotation(true),
  rotation(false),
  attentionCase(false),
  attentionCase(true),
];

/** MatMulNBits takes another kernel for one row than for many. */
function blockProduct(bits: 4 | 8, rows: number): Operator {
  const middle = 2 ** (bits - 1);
  const codes = fill(WIDTH * WIDTH, (i) => (i * 7919 + (i >> 5)) % (2 * middle));
  const blob =
    bits === 8 ? Uint8Array.from(codes) : Uint8Array.from({ length: codes.length / 2 }, (_, i) => (codes[2 * i] ?? 0) | ((codes[2 * i + 1] ?? 0) << 4));
  const scales = pattern((WIDTH * WIDTH) / BLOCK, 5).map((value) => (value + 3) / (8 * middle));
  const weight = codes.map((code, i) => (code - middle) * (scales[Math.floor(i / BLOCK)] ?? 0));
  return {
    name: `MatMulNBits of ${bits} bits, ${rows} row${rows === 1 ? '' : 's'}`,
    build: (graph, x) => {
      const some = rows === TOKENS ? x : graph.add('Slice', [x, graph.ints([0]), graph.ints([rows])], { hints: { size: rows } });
      const packed = {
        blob: graph.constant('uint8', [WIDTH, WIDTH / BLOCK, (BLOCK * bits) / 8], blob),
        scales: constant(graph, x, scales, [scales.length]),
        block: BLOCK,
        bits,
      };
      return matMulNBits(graph, some, packed, { n: WIDTH, k: WIDTH }, 0);
    },
    expected: (x) => product(x, weight, rows),
  };
}

function rotation(interleaved: boolean): Operator {
  const half = HEAD_WIDTH / 2;
  return {
    name: `RotaryEmbedding, ${interleaved ? 'interleaved' : 'halves'}`,
    build: (graph, x) => {
      const table = (of: (angle: number) => number): Value => constant(graph, x, angles.map(of), [TOKENS, half]);
      return rotate(graph, reshape(graph, x, [1, TOKENS, WIDTH]), table(Math.cos), table(Math.sin), HEADS, interleaved);
    },
    expected: (x) => {
      const y = new Float32Array(x.length);
      for (let start = 0; start < x.length; start += HEAD_WIDTH) {
        for (let i = 0; i < half; i++) {
          const angle = angles[Math.floor(start / WIDTH) * half + i] ?? 0;
          const [first, second] = interleaved ? [start + 2 * i, start + 2 * i + 1] : [start + i, start + half + i];
          const [a, b] = [x[first] ?? 0, x[second] ?? 0];
          y[first] = a * Math.cos(angle) - b * Math.sin(angle);
          y[second] = a * Math.sin(angle) + b * Math.cos(angle);
        }
      }
      return y;
    },
  };
}

function attentionCase(causal: boolean): Operator {
  const shape = [1, TOKENS, WIDTH];
  return {
    name: causal ? 'MultiHeadAttention, causal' : 'MultiHeadAttention',
    build: (graph, x) =>
      attention(graph, reshape(graph, x, shape), constant(graph, x, others.a, shape), constant(graph, x, others.b, shape), HEADS, causal ? 'causal' : null),
    expected: (x) => {
      const y = new Float32Array(x.length);
      for (let head = 0; head < HEADS; head++) {
        for (let row = 0; row < TOKENS; row++) {
          const place = (token: number): number => token * WIDTH + head * HEAD_WIDTH;
          const seen = causal ? row + 1 : TOKENS;
          const scores = Array.from({ length: seen }, (_, token) => {
            let score = 0;
            for (let i = 0; i < HEAD_WIDTH; i++) score += (x[place(row) + i] ?? 0) * (others.a[place(token) + i] ?? 0);
            return Math.exp(score / Math.sqrt(HEAD_WIDTH));
          });
          const total = scores.reduce((sum, score) => sum + score, 0);
          for (let i = 0; i < HEAD_WIDTH; i++) {
            y[place(row) + i] = scores.reduce((sum, score, token) => sum + (score / total) * (others.b[place(token) + i] ?? 0), 0);
          }
        }
      }
      return y;
    },
  };
}

function constant(graph: GraphBuilder, like: Value, values: Float32Array, shape: readonly number[]): Value {
  return cast(graph, graph.floats(values, shape), like.type === 'bfloat16' || like.type === 'float16' ? like.type : 'float32');
}

function imageOf(graph: GraphBuilder, x: Value): Value {
  return reshape(graph, x, [1, CHANNELS, SIDE, SIDE]);
}

/** Small whole numbers without a short period: exact in every type, and a wrong layout shows. */
function pattern(length: number, range: number): Float32Array {
  return fill(length, (i) => ((i * 7919 + (i >> 4) * 104_729) % range) - (range >> 1));
}

function fill(length: number, valueAt: (i: number) => number | undefined): Float32Array {
  return Float32Array.from({ length }, (_, i) => valueAt(i) ?? Number.NaN);
}

function byRow(x: Float32Array, change: (row: number[]) => number[]): Float32Array {
  return Float32Array.of(...Array.from({ length: TOKENS }, (_, i) => change([...x.subarray(i * WIDTH, (i + 1) * WIDTH)])).flat());
}

/** The first `rows` of x by W^T, W [WIDTH, WIDTH]. */
function product(x: Float32Array, weight: Float32Array, rows: number): Float32Array {
  return fill(rows * WIDTH, (i) => {
    const [row, column] = [Math.floor(i / WIDTH) * WIDTH, (i % WIDTH) * WIDTH];
    let sum = 0;
    for (let k = 0; k < WIDTH; k++) sum += (x[row + k] ?? 0) * (weight[column + k] ?? 0);
    return sum;
  });
}

/** [channels, row, column] of a convolution with a border of zeros. */
function convolved(image: Float32Array): Float32Array {
  const out = new Float32Array(CHANNELS * SIDE * SIDE);
  for (let to = 0; to < CHANNELS; to++)
    for (let from = 0; from < CHANNELS; from++)
      for (let tap = 0; tap < 9; tap++) {
        const weight = kernels[(to * CHANNELS + from) * 9 + tap] ?? 0;
        const [down, right] = [Math.floor(tap / 3) - 1, (tap % 3) - 1];
        for (let y = Math.max(0, -down); y < Math.min(SIDE, SIDE - down); y++)
          for (let x = Math.max(0, -right); x < Math.min(SIDE, SIDE - right); x++) {
            const at = (to * SIDE + y) * SIDE + x;
            out[at] = (out[at] ?? 0) + weight * (image[(from * SIDE + y + down) * SIDE + x + right] ?? 0);
          }
      }
  return out;
}
