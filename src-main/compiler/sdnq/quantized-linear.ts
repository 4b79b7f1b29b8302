import { quoteValue } from '#main/lib/quote-value.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { StoredTensor } from '../safetensors/header.ts';
import { requireTensor, type TensorTable } from '../safetensors/open-checkpoint-tensors.ts';
import { type QuantizationConfig, storedTypeOf } from './quantization-config.ts';

/**
 * A linear layer as SDNQ stores it, described and not yet read. Its weight W is [N, K]: `n` rows of `k` values,
 * each row in `groups` groups of `groupSize` that share a scale (and a zero point).
 * - 4 bits: W = q * scale + zero_point, q from 0 to 15, two in a byte, low nibble first, row-major in a flat U8 tensor of N * K / 2 bytes.
 * - 8 bits: W = q * scale, q from -128 to 127, I8 of [N, K] or [N, groups, groupSize] (the same bytes), or [K, N] where `transposed`.
 * `svd` adds up [N, rank] @ down [rank, K]. Scales, zero points and SVD factors are F32, F16 or BF16.
 */
export interface QuantizedLinear {
  /** `X` of `X.weight`. */
  name: string;
  bits: 4 | 8;
  n: number;
  k: number;
  groups: number;
  groupSize: number;
  /** The weight stands as [K, N], its scale as [1, N]: a checkpoint saved with `use_quantized_matmul`. Never with 4 bits. */
  transposed: boolean;
  weight: StoredTensor;
  /** `n * groups` values, row-major [N, groups]. */
  scale: StoredTensor;
  /** Like `scale`; null with 8 bits. */
  zeroPoint: StoredTensor | null;
  svd: SvdFactors | null;
}

/** Two factors whose product is added to the weight. */
export interface SvdFactors {
  rank: number;
  /** [N, rank], or [rank, N] where `transposed`. */
  up: StoredTensor;
  /** [rank, K], or [K, rank] where `transposed`. */
  down: StoredTensor;
  /** Apart from the weight's own order: with `use_quantized_matmul` the factors are turned also where the weight is not. */
  transposed: boolean;
}

const floatTypes = ['F32', 'F16', 'BF16'];

/**
 * Describes the linear layer `name`; null where its weight is not quantized. No tensor is read.
 * Throws `checkpoint_damaged` where tensors are missing or do not fit each other, `checkpoint_unsupported` for kinds of SDNQ that are not read here.
 */
export function describeQuantizedLinear(table: TensorTable, name: string, config: QuantizationConfig | null): QuantizedLinear | null {
  const weight = requireTensor(table, `${name}.weight`);
  const scale = table.tensors.get(`${name}.scale`);
  if (scale === undefined) {
    assertFloat(weight);
    return null;
  }
  if (config === null) throw damaged(scale, `scales ${quoteValue(weight.name)}, but there is no quantization_config that tells how`);
  const type = storedTypeOf(config, weight.name);
  for (const part of ['scale_2', 'scale_zero_point', 'zero_point_scale', 'zero_point_2']) {
    const tensor = table.tensors.get(`${name}.${part}`);
    if (tensor !== undefined) throw unsupported(tensor, 'belongs to quantized scales; only float scales and zero points are supported');
  }
  assertFloat(scale);

  const layout = type === 'uint4' ? layoutOfUint4(weight, scale) : layoutOfInt8(weight, scale);
  const { n, k, groups } = layout;
  if (n === 0 || k === 0 || groups === 0 || k % groups !== 0)
    throw damaged(scale, `has shape ${quoteValue(scale.shape)}, which splits rows of ${k} values into ${groups} groups; the groups must be equal`);
  return {
    name,
    ...layout,
    groupSize: k / groups,
    weight,
    scale,
    zeroPoint: zeroPointOf(table, name, type, scale),
    svd: svdOf(table, name, n, k),
  };
}

type Layout = Pick<QuantizedLinear, 'bits' | 'n' | 'k' | 'groups' | 'transposed'>;

function layoutOfUint4(weight: StoredTensor, scale: StoredTensor): Layout {
  if (weight.dtype !== 'U8' || weight.shape.length !== 1)
    throw damaged(weight, `is ${weight.dtype} of shape ${quoteValue(weight.shape)}; uint4 stands as a flat U8 tensor, two values in a byte`);
  const [n, groups] = groupsOf(scale, 'uint4');
  const k = (2 * weight.byteLength) / n;
  if (!Number.isInteger(k))
    throw damaged(weight, `holds ${2 * weight.byteLength} values, which do not make the ${n} equal rows that its scale ${quoteValue(scale.shape)} tells of`);
  return { bits: 4, n, k, groups, transposed: false };
}

function layoutOfInt8(weight: StoredTensor, scale: StoredTensor): Layout {
  const [first, second, third] = weight.shape;
  if (weight.dtype !== 'I8' || first === undefined || second === undefined || weight.shape.length > 3)
    throw damaged(weight, `is ${weight.dtype} of shape ${quoteValue(weight.shape)}; int8 stands as an I8 tensor of 2 or 3 dimensions`);
  if (third === undefined) {
    if (isShape(scale, [first, 1])) return { bits: 8, n: first, k: second, groups: 1, transposed: false };
    if (isShape(scale, [1, second])) return { bits: 8, n: second, k: first, groups: 1, transposed: true };
    throw damaged(
      scale,
      `has shape ${quoteValue(scale.shape)}; for a weight of ${quoteValue(weight.shape)} it must be [${first},1] or, transposed, [1,${second}]`,
    );
  }
  const [n, groups] = groupsOf(scale, 'int8');
  if (n !== first || groups !== second)
    throw damaged(scale, `has shape ${quoteValue(scale.shape)}; for a weight of ${quoteValue(weight.shape)} it must be [${first},${second},1]`);
  return { bits: 8, n, k: second * third, groups, transposed: false };
}

/** Rows and groups that a scale of [N, 1] or [N, groups, 1] tells of. */
function groupsOf(scale: StoredTensor, type: string): [number, number] {
  const [rows, second] = scale.shape;
  if (rows !== undefined && rows > 0 && second !== undefined) {
    if (isShape(scale, [rows, 1])) return [rows, 1];
    if (isShape(scale, [rows, second, 1])) return [rows, second];
  }
  throw damaged(scale, `has shape ${quoteValue(scale.shape)}; for ${type} it must be [N,1] or [N,groups,1]`);
}

function zeroPointOf(table: TensorTable, name: string, type: 'uint4' | 'int8', scale: StoredTensor): StoredTensor | null {
  const zeroPoint = table.tensors.get(`${name}.zero_point`);
  if (type === 'int8') {
    if (zeroPoint !== undefined) throw unsupported(zeroPoint, 'belongs to an int8 weight; int8 is supported without zero points');
    return null;
  }
  if (zeroPoint === undefined) throw damaged(scale, `belongs to a uint4 weight whose ${quoteValue(`${name}.zero_point`)} is missing`);
  assertFloat(zeroPoint);
  if (!isShape(zeroPoint, scale.shape))
    throw damaged(zeroPoint, `has shape ${quoteValue(zeroPoint.shape)}; like its scale it must be ${quoteValue(scale.shape)}`);
  return zeroPoint;
}

function svdOf(table: TensorTable, name: string, n: number, k: number): SvdFactors | null {
  const up = table.tensors.get(`${name}.svd_up`);
  const down = table.tensors.get(`${name}.svd_down`);
  if (up === undefined) {
    if (down === undefined) return null;
    throw damaged(down, `stands alone; ${quoteValue(`${name}.svd_up`)} is missing`);
  }
  if (down === undefined) throw damaged(up, `stands alone; ${quoteValue(`${name}.svd_down`)} is missing`);
  assertFloat(up);
  assertFloat(down);
  const [rows, columns] = up.shape;
  if (columns !== undefined && isShape(up, [n, columns]) && isShape(down, [columns, k])) return { rank: columns, up, down, transposed: false };
  if (rows !== undefined && isShape(up, [rows, n]) && isShape(down, [k, rows])) return { rank: rows, up, down, transposed: true };
  const met = `has shape ${quoteValue(up.shape)} beside svd_down of ${quoteValue(down.shape)}`;
  throw damaged(up, `${met}; they must be [${n},rank] and [rank,${k}], or both transposed`);
}

function assertFloat(tensor: StoredTensor): void {
  if (!floatTypes.includes(tensor.dtype))
    throw damaged(tensor, `is ${tensor.dtype} where ${floatTypes.join(', ')} must stand (a quantized weight needs its scale)`);
}

function isShape(tensor: StoredTensor, shape: readonly number[]): boolean {
  return tensor.shape.length === shape.length && tensor.shape.every((side, i) => side === shape[i]);
}

function damaged({ file: path, name }: StoredTensor, what: string): AppError<'checkpoint_damaged'> {
  return new AppError('checkpoint_damaged', `${path}: tensor ${quoteValue(name)} ${what}.`, { path });
}

function unsupported({ file: path, name }: StoredTensor, what: string): AppError<'checkpoint_unsupported'> {
  return new AppError('checkpoint_unsupported', `${path}: tensor ${quoteValue(name)} ${what}.`, { path });
}
