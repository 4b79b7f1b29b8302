import { type Attribute, type Dim, elementCount, halveDim, scaleDim, showShape, type TensorType } from './ir.ts';

/** What a rule sees of a node: its inputs' types (null where an optional one is omitted), its attributes and hints. */
export interface RuleContext {
  inputs: readonly (TensorType | null)[];
  attributes: Readonly<Record<string, Attribute>>;
  hints: Readonly<Record<string, Attribute>>;
}

/** Returns the outputs' types, or throws a `RuleViolation` that says what is wrong. */
type Rule = (context: RuleContext) => TensorType[];

export class RuleViolation extends Error {}

function refuse(reason: string): never {
  throw new RuleViolation(reason);
}

function input({ inputs }: RuleContext, index: number): TensorType {
  return inputs[index] ?? refuse(`input ${index} is missing`);
}

function int({ attributes }: RuleContext, name: string, fallback?: number): number {
  const value = attributes[name] ?? fallback;
  return typeof value === 'number' ? value : refuse(`attribute ${name} must be an integer, met ${JSON.stringify(value)}`);
}

function ints({ attributes }: RuleContext, name: string): readonly number[] {
  const value = attributes[name];
  return Array.isArray(value) ? value : refuse(`attribute ${name} must be a list of integers, met ${JSON.stringify(value)}`);
}

function rank(tensor: TensorType, wanted: number, what: string): void {
  if (tensor.shape.length !== wanted) refuse(`${what} must have ${wanted} dimensions, met ${showShape(tensor.shape)}`);
}

function typed(tensor: TensorType, wanted: readonly string[], what: string): void {
  if (!wanted.includes(tensor.type)) refuse(`${what} must be ${wanted.join(' or ')}, met ${tensor.type}`);
}

function sameDim(a: Dim | undefined, b: Dim | undefined, what: string): void {
  if (a === undefined || b === undefined || a !== b) refuse(`${what} must be equal, met ${a} and ${b}`);
}

function sameType(a: TensorType, b: TensorType, what: string): void {
  if (a.type !== b.type) refuse(`${what} must have one type, met ${a.type} and ${b.type}`);
}

function floats(tensor: TensorType, what: string): void {
  typed(tensor, ['float32', 'float16', 'bfloat16'], what);
}

function broadcast(a: readonly Dim[], b: readonly Dim[]): Dim[] {
  const out: Dim[] = [];
  for (let i = 1; i <= Math.max(a.length, b.length); i++) {
    const x = a[a.length - i] ?? 1;
    const y = b[b.length - i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) refuse(`shapes ${showShape(a)} and ${showShape(b)} do not broadcast`);
    out.unshift(x === 1 ? y : x);
  }
  return out;
}

const elementwise: Rule = (context) => {
  const [a, b] = [input(context, 0), input(context, 1)];
  sameType(a, b, 'both inputs');
  return [{ type: a.type, shape: broadcast(a.shape, b.shape) }];
};

const unary: Rule = (context) => {
  floats(input(context, 0), 'input');
  return [input(context, 0)];
};

const normalization: Rule = (context) => {
  const [x, scale] = [input(context, 0), input(context, 1)];
  floats(x, 'input');
  if (int(context, 'axis', -1) !== -1) refuse('only the last axis is normalized');
  rank(scale, 1, 'scale');
  sameType(x, scale, 'input and scale');
  sameDim(x.shape.at(-1), scale.shape[0], 'the last dimension of input and scale');
  const bias = context.inputs[2];
  if (bias) {
    sameType(x, bias, 'input and bias');
    sameDim(scale.shape[0], bias.shape[0], 'scale and bias');
  }
  return [x];
};

/** Over one axis, which stays with size 1; the hint `axis` is the one that the second input names. */
const reduction: Rule = (context) => {
  const x = input(context, 0);
  typed(input(context, 1), ['int64'], 'axes');
  const axis = context.hints['axis'];
  if (typeof axis !== 'number' || axis < 0 || axis >= x.shape.length) refuse(`hint axis must be a dimension of ${showShape(x.shape)}`);
  return [{ type: x.type, shape: x.shape.map((dim, i) => (i === axis ? 1 : dim)) }];
};

function axisOf(context: RuleContext, tensor: TensorType): number {
  const axis = int(context, 'axis');
  const positive = axis < 0 ? axis + tensor.shape.length : axis;
  if (positive < 0 || positive >= tensor.shape.length) refuse(`axis ${axis} is outside ${showShape(tensor.shape)}`);
  return positive;
}

function product(dims: readonly Dim[]): { known: number; unknown: string[] } {
  const unknown: string[] = [];
  let known = 1;
  for (const dim of dims) {
    if (typeof dim === 'number') known *= dim;
    else {
      const scaled = /^(\d+)\*(.+)$/.exec(dim);
      known *= scaled ? Number(scaled[1]) : 1;
      unknown.push(scaled?.[2] ?? dim);
    }
  }
  return { known, unknown: unknown.sort() };
}

/**
 * One rule an operator: what it may be given and what it returns. An operator without a row cannot be built.
 * ONNX operators: https://onnx.ai/onnx/operators; `com.microsoft`: onnxruntime `docs/ContribOperators.md`.
 */
export const rules: Readonly<Record<string, Rule>> = {
  Add: elementwise,
  Mul: elementwise,
  Div: elementwise,
  Max: elementwise,
  BitwiseXor: (context) => {
    for (const at of [0, 1]) typed(input(context, at), ['uint8'], 'both inputs');
    return elementwise(context);
  },
  Abs: unary,
  Round: unary,
  Tanh: unary,
  Cos: unary,
  Sin: unary,
  'com.microsoft.QuickGelu': unary,
  Cast: (context) => {
    const to = context.hints['to'];
    if (to !== 'float32' && to !== 'float16' && to !== 'bfloat16') refuse(`casts go to a float type, met ${JSON.stringify(to)}`);
    return [{ type: to, shape: input(context, 0).shape }];
  },
  Relu: unary,
  LeakyRelu: unary,
  Gather: (context) => {
    const [data, indices] = [input(context, 0), input(context, 1)];
    typed(indices, ['int64', 'int32'], 'indices');
    const axis = int(context, 'axis', 0);
    return [{ type: data.type, shape: [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)] }];
  },
  Where: (context) => {
    const [condition, a, b] = [input(context, 0), input(context, 1), input(context, 2)];
    typed(condition, ['bool'], 'condition');
    sameType(a, b, 'both choices');
    return [{ type: a.type, shape: broadcast(broadcast(condition.shape, a.shape), b.shape) }];
  },
  Concat: (context) => {
    const parts = context.inputs.map((_, i) => input(context, i));
    const first = parts[0] ?? refuse('needs at least one input');
    const axis = axisOf(context, first);
    for (const part of parts) {
      sameType(first, part, 'all inputs');
      rank(part, first.shape.length, 'every input');
      for (const [i, dim] of part.shape.entries()) if (i !== axis) sameDim(dim, first.shape[i], `dimension ${i} of all inputs`);
    }
    const sizes = parts.map((part) => part.shape[axis] ?? 0);
    const total: Dim = sizes.every((size) => typeof size === 'number') ? sizes.reduce((a, b) => a + b, 0) : sizes.join('+');
    return [{ type: first.type, shape: first.shape.map((dim, i) => (i === axis ? total : dim)) }];
  },
  Split: (context) => {
    const x = input(context, 0);
    const axis = axisOf(context, x);
    const sizes = context.hints['sizes'];
    if (!Array.isArray(sizes)) return refuse('hint sizes must list the parts');
    const total = sizes.reduce((a: number, b: number) => a + b, 0);
    if (x.shape[axis] !== total) refuse(`parts add up to ${total}, the axis has ${x.shape[axis]}`);
    return sizes.map((size: number) => ({ type: x.type, shape: x.shape.map((dim, i) => (i === axis ? size : dim)) }));
  },
  /** Rows, or what the hint `axis` names; the hint `size` names how many. */
  Slice: (context) => {
    const x = input(context, 0);
    typed(input(context, 1), ['int64'], 'starts');
    typed(input(context, 2), ['int64'], 'ends');
    const size = context.hints['size'];
    if (typeof size !== 'string' && typeof size !== 'number') refuse('hint size must name the length of the slice');
    const axis = context.hints['axis'] ?? 0;
    if (axis !== 0) typed(input(context, 3), ['int64'], 'axes');
    return [{ type: x.type, shape: x.shape.map((dim, i) => (i === axis ? size : dim)) }];
  },
  Transpose: (context) => {
    const x = input(context, 0);
    const order = ints(context, 'perm');
    if ([...order].sort((a, b) => a - b).join() !== x.shape.map((_, i) => i).join()) refuse(`perm ${order} is no order of ${showShape(x.shape)}`);
    return [{ type: x.type, shape: order.map((i) => x.shape[i] ?? 0) }];
  },
  /** The hint `to` is the shape that the caller knows; the elements must be as many where both are known. */
  Reshape: (context) => {
    const x = input(context, 0);
    typed(input(context, 1), ['int64'], 'shape');
    const to = context.hints['to'];
    if (typeof to !== 'string') refuse('hint to must name the new shape');
    const shape: Dim[] = to === '' ? [] : to.split(' ').map((dim) => (/^\d+$/.test(dim) ? Number(dim) : dim));
    const [from, into] = [product(x.shape), product(shape)];
    if (from.unknown.join() === into.unknown.join() && from.known !== into.known) {
      refuse(`cannot turn ${showShape(x.shape)} into ${showShape(shape)}: ${from.known} against ${into.known} elements`);
    }
    return [{ type: x.type, shape }];
  },
  ReduceMax: reduction,
  ReduceSum: reduction,
  /** One value over `size` places, which the hint names. */
  Expand: (context) => {
    const x = input(context, 0);
    if (elementCount(x.shape) !== 1) refuse(`only one value is expanded, met ${showShape(x.shape)}`);
    typed(input(context, 1), ['int64'], 'shape');
    const size = context.hints['size'];
    if (typeof size !== 'string' && typeof size !== 'number') return refuse('hint size must name the length');
    return [{ type: x.type, shape: [size] }];
  },
  /** x [S, K] with a scale and a zero point a row. */
  QuantizeLinear: (context) => {
    const [x, scale, zero] = [input(context, 0), input(context, 1), input(context, 2)];
    floats(x, 'input');
    typed(zero, ['uint8', 'int8'], 'zero point');
    rank(scale, 1, 'scale');
    sameDim(x.shape[int(context, 'axis')], scale.shape[0], 'the quantized axis and its scales');
    sameDim(scale.shape[0], zero.shape[0], 'scales and zero points');
    return [{ type: zero.type, shape: x.shape }];
  },
  /** A [S, K] of bytes by B [N, K] of signed bytes, with one scale for A and one a row of B, to float32. */
  'com.microsoft.QGemm': (context) => {
    const [a, aScale, aZero, b, bScale, bZero] = [0, 1, 2, 3, 4, 5].map((i) => input(context, i)) as [
      TensorType,
      TensorType,
      TensorType,
      TensorType,
      TensorType,
      TensorType,
    ];
    typed(a, ['uint8'], 'the first input');
    typed(b, ['int8'], 'the fourth input');
    if (aZero.type !== a.type || bZero.type !== b.type) refuse('zero points must have the types of what they belong to');
    if (int(context, 'transB', 0) !== 1) refuse('transB must be 1');
    rank(aScale, 0, 'scale of the first input');
    sameDim(a.shape[1], b.shape[1], 'inner dimensions');
    for (const [part, what] of [
      [bScale, 'scales'],
      [bZero, 'zero points'],
    ] as const) {
      sameDim(part.shape[0], b.shape[0], `${what} and rows of the fourth input`);
    }
    return [{ type: 'float32', shape: [a.shape[0] ?? 0, b.shape[0] ?? 0] }];
  },
  Gemm: (context) => {
    const [a, b] = [input(context, 0), input(context, 1)];
    floats(a, 'the first input');
    sameType(a, b, 'both inputs');
    rank(a, 2, 'the first input');
    rank(b, 2, 'the second input');
    const transposed = int(context, 'transB', 0) === 1;
    sameDim(a.shape[1], transposed ? b.shape[1] : b.shape[0], 'inner dimensions');
    const shape = [a.shape[0] ?? 0, (transposed ? b.shape[0] : b.shape[1]) ?? 0];
    const addend = context.inputs[2];
    if (addend) {
      sameType(a, addend, 'the inputs');
      const wide = broadcast(shape, addend.shape);
      if (wide.join() !== shape.join()) refuse(`the third input ${showShape(addend.shape)} is wider than ${showShape(shape)}`);
    }
    return [{ type: a.type, shape }];
  },
  'com.microsoft.MatMulNBits': (context) => {
    const [a, b, scales] = [input(context, 0), input(context, 1), input(context, 2)];
    const [n, k, bits, block] = [int(context, 'N'), int(context, 'K'), int(context, 'bits'), int(context, 'block_size')];
    floats(a, 'the first input');
    typed(b, ['uint8'], 'the second input');
    sameType(a, scales, 'the first input and the scales');
    if (bits !== 4 && bits !== 8) refuse(`bits must be 4 or 8, met ${bits}`);
    if (block < 16 || (block & (block - 1)) !== 0) refuse(`block_size must be a power of two of at least 16, met ${block}`);
    if (k % block !== 0) refuse(`K ${k} must be a multiple of block_size ${block}`);
    sameDim(a.shape.at(-1), k, 'the last dimension of the first input and K');
    const blob = [n, k / block, (block * bits) / 8];
    if (b.shape.join() !== blob.join()) refuse(`the second input must be ${showShape(blob)}, met ${showShape(b.shape)}`);
    if (elementCount(scales.shape) !== n * (k / block)) refuse(`scales must hold ${n * (k / block)} values, met ${showShape(scales.shape)}`);
    return [{ type: a.type, shape: [...a.shape.slice(0, -1), n] }];
  },
  Conv: (context) => {
    const [x, weight] = [input(context, 0), input(context, 1)];
    rank(x, 4, 'input');
    rank(weight, 4, 'weight');
    sameType(x, weight, 'input and weight');
    const groups = int(context, 'group', 1);
    sameDim(x.shape[1], typeof weight.shape[1] === 'number' ? weight.shape[1] * groups : weight.shape[1], 'channels of input and weight');
    const bias = context.inputs[2];
    if (bias) sameDim(bias.shape[0], weight.shape[0], 'bias and output channels');
    const [stride] = ints(context, 'strides');
    if (ints(context, 'strides').some((other) => other !== stride) || (stride !== 1 && stride !== 2)) refuse('strides must both be 1 or 2');
    const sides = stride === 1 ? x.shape.slice(2) : x.shape.slice(2).map(halveDim);
    return [{ type: x.type, shape: [x.shape[0] ?? 1, weight.shape[0] ?? 0, ...sides] }];
  },
  /** x [1, groups, elements], one scale and bias a group. */
  InstanceNormalization: (context) => {
    const [x, scale, bias] = [input(context, 0), input(context, 1), input(context, 2)];
    sameDim(x.shape[1], scale.shape[0], 'channels of input and scale');
    sameDim(x.shape[1], bias.shape[0], 'channels of input and bias');
    return [x];
  },
  Shape: (context) => [{ type: 'int64', shape: [input(context, 0).shape.length] }],
  Resize: (context) => {
    const x = input(context, 0);
    rank(x, 4, 'input');
    const factor = context.hints['factor'];
    if (typeof factor !== 'number') return refuse('hint factor must be a number');
    return [{ type: x.type, shape: [x.shape[0] ?? 1, x.shape[1] ?? 0, scaleDim(x.shape[2] ?? 0, factor), scaleDim(x.shape[3] ?? 0, factor)] }];
  },
  DepthToSpace: (context) => {
    const x = input(context, 0);
    rank(x, 4, 'input');
    const block = int(context, 'blocksize');
    const channels = x.shape[1];
    if (typeof channels !== 'number' || channels % (block * block) !== 0) refuse(`channels ${channels} must be a multiple of ${block * block}`);
    return [{ type: x.type, shape: [x.shape[0] ?? 1, channels / (block * block), scaleDim(x.shape[2] ?? 0, block), scaleDim(x.shape[3] ?? 0, block)] }];
  },
  LayerNormalization: normalization,
  SimplifiedLayerNormalization: normalization,
  'com.microsoft.RotaryEmbedding': (context) => {
    const [x, cos, sin] = [input(context, 0), input(context, 2), input(context, 3)];
    rank(x, 3, 'input');
    typed(input(context, 1), ['int64'], 'position ids');
    sameType(x, cos, 'input and cos');
    sameType(cos, sin, 'cos and sin');
    if (showShape(cos.shape) !== showShape(sin.shape)) refuse(`cos ${showShape(cos.shape)} and sin ${showShape(sin.shape)} must have one shape`);
    sameDim(x.shape[2], int(context, 'num_heads') * 2 * Number(cos.shape[1]), 'width of input and heads times rotary width');
    return [x];
  },
  'com.microsoft.MultiHeadAttention': (context) => {
    const [q, k, v] = [input(context, 0), input(context, 1), input(context, 2)];
    for (const [part, what] of [
      [q, 'query'],
      [k, 'key'],
      [v, 'value'],
    ] as const) {
      floats(part, what);
      rank(part, 3, what);
    }
    sameType(q, k, 'query and key');
    sameType(k, v, 'key and value');
    sameDim(q.shape[2], k.shape[2], 'width of query and key');
    sameDim(k.shape[1], v.shape[1], 'length of key and value');
    const bias = context.inputs[5];
    if (bias) {
      sameType(q, bias, 'query and attention bias');
      if (showShape(bias.shape) !== showShape([1, 1, q.shape[1] ?? 0, k.shape[1] ?? 0])) refuse(`the attention bias is ${showShape(bias.shape)}`);
    }
    const heads = int(context, 'num_heads');
    if (Number(q.shape[2]) % heads !== 0) refuse(`width ${q.shape[2]} must be a multiple of ${heads} heads`);
    return [{ type: q.type, shape: [q.shape[0] ?? 1, q.shape[1] ?? 0, v.shape[2] ?? 0] }];
  },
};
