import { quoteValue } from '#main/lib/quote-value.ts';
import { floatTypes, isFloatType } from '#main/lib/widen-floats.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { StoredTensor } from '../safetensors/header.ts';
import { requireTensor, type TensorTable } from '../safetensors/open-checkpoint-tensors.ts';
import { type HadamardRotation, hadamardRotation } from './hadamard.ts';
import { type QuantizationConfig, type StoredType, storedWeightOf } from './quantization-config.ts';
import { packOf } from './unpack-bits.ts';

/**
 * A linear layer as SDNQ stores it, described and not yet read. Its weight W is [N, K]: `n` rows of `k` values,
 * each row in `groups` groups of `groupSize` that share a scale (and a zero point). Before the rotation W = q * scale + zero_point.
 * - 4 to 7 bits: row-major in packs of U8, see `unpackBits`. A signed q is what is stored less 2^(bits - 1).
 * - 8 bits: I8 or U8 of [N, K] or [N, groups, groupSize] (the same bytes), or [K, N] where `transposed`.
 * `svd` adds up [N, rank] @ down [rank, K]. Scales, zero points and SVD factors are F32, F16 or BF16.
 */
export interface QuantizedLinear extends StoredType {
  /** `X` of `X.weight`. */
  name: string;
  n: number;
  k: number;
  groups: number;
  groupSize: number;
  /** The weight is stored as [K, N], its scale as [1, N]: a checkpoint saved with `use_quantized_matmul`. Only with 8 bits. */
  transposed: boolean;
  weight: StoredTensor;
  /** `n * groups` values, row-major [N, groups]. */
  scale: StoredTensor;
  /** Like `scale`; null for signed types. */
  zeroPoint: StoredTensor | null;
  svd: SvdFactors | null;
  /** The true weight is this one, SVD included, with its rows rotated in groups; null where nothing is rotated. */
  rotation: HadamardRotation | null;
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

/**
 * Describes the linear layer `name`; null where its weight is not quantized. No tensor is read.
 * Throws `checkpoint_damaged` where tensors are missing or do not fit each other, `checkpoint_unsupported` for kinds of SDNQ that cannot be read.
 */
export function describeQuantizedLinear(table: TensorTable, name: string, config: QuantizationConfig | null): QuantizedLinear | null {
  const weight = requireTensor(table, `${name}.weight`);
  const scale = table.tensors.get(`${name}.scale`);
  if (scale === undefined) {
    assertFloat(weight);
    return null;
  }
  if (config === null) throw damaged(scale, `scales ${quoteValue(weight.name)}, but there is no quantization_config that says how`);
  const { type, rotation } = storedWeightOf(config, weight.name);
  for (const part of ['scale_2', 'scale_zero_point', 'zero_point_scale', 'zero_point_2']) {
    const tensor = table.tensors.get(`${name}.${part}`);
    if (tensor !== undefined) throw unsupported(tensor, 'belongs to quantized scales; only float scales and zero points are supported');
  }
  assertFloat(scale);
  const { n, k, groups, transposed } = type.bits === 8 ? layoutOfBytes(weight, scale, type) : layoutOfPacks(weight, scale, type);
  if (n === 0 || k === 0 || groups === 0 || k % groups !== 0)
    throw damaged(scale, `has shape ${quoteValue(scale.shape)}, which splits rows of ${k} values into ${groups} groups; the groups must be equal`);
  return {
    name,
    ...type,
    ...{ n, k, groups, groupSize: k / groups, transposed },
    weight,
    scale,
    zeroPoint: zeroPointOf(table, name, type, scale),
    svd: svdOf(table, name, n, k),
    rotation: rotation && hadamardRotation(k, rotation, config.path),
  };
}

/** Rows of a weight that has `of` rows, from this one on. */
export interface RowRange {
  from: number;
  of: number;
}

/** `count` rows of a tensor whose first size, in the file or as it is packed, is `of`; in place, under a name of their own. */
export function tensorRows(tensor: StoredTensor, { from, of }: RowRange, count: number): StoredTensor {
  if (count === of) return tensor;
  const rowBytes = tensor.byteLength / of;
  const place = { offset: tensor.offset + from * rowBytes, byteLength: count * rowBytes };
  return { ...tensor, ...place, name: `${tensor.name}.rows_${from}`, shape: [count, ...tensor.shape.slice(1)] };
}

/** The same of a layer; null where its rows are not one range of bytes. */
export function linearRows(linear: QuantizedLinear, range: RowRange, count: number): QuantizedLinear | null {
  if (count === range.of) return linear;
  const { svd, zeroPoint, k, bits } = linear;
  if (linear.transposed || svd?.transposed || (k * bits) % 8 !== 0) return null;
  const part = (tensor: StoredTensor): StoredTensor => tensorRows(tensor, range, count);
  return {
    ...linear,
    ...{ name: `${linear.name}.rows_${range.from}`, n: count, weight: part(linear.weight), scale: part(linear.scale) },
    zeroPoint: zeroPoint && part(zeroPoint),
    svd: svd && { ...svd, up: part(svd.up) },
  };
}

type Layout = Pick<QuantizedLinear, 'n' | 'k' | 'groups' | 'transposed'>;

/** 4 bits are a flat tensor, others packs [packs, bytes a pack]. */
function layoutOfPacks(weight: StoredTensor, scale: StoredTensor, type: StoredType): Layout {
  const { values, bytes } = packOf(type.bits);
  const expected = type.bits === 4 ? 'a flat U8 tensor' : `a U8 tensor of [packs,${bytes}]`;
  const [packs = 0, width] = weight.shape;
  const fits = weight.dtype === 'U8' && (type.bits === 4 ? width === undefined : weight.shape.length === 2 && width === bytes);
  if (!fits) {
    const stored = `${nameOfType(type)} is stored as ${expected}, ${values} values in ${bytes === 1 ? 'a byte' : `${bytes} bytes`}`;
    throw damaged(weight, `is ${weight.dtype} of shape ${quoteValue(weight.shape)}; ${stored}`);
  }
  const [n, groups] = groupsOf(scale, nameOfType(type));
  const count = packs * values;
  const k = count / n;
  if (!Number.isInteger(k))
    throw damaged(weight, `holds ${count} values, which do not make the ${n} equal rows that its scale ${quoteValue(scale.shape)} asks for`);
  return { n, k, groups, transposed: false };
}

function layoutOfBytes(weight: StoredTensor, scale: StoredTensor, type: StoredType): Layout {
  const [first, second, third] = weight.shape;
  const dtype = type.signed ? 'I8' : 'U8';
  if (weight.dtype !== dtype || first === undefined || second === undefined || weight.shape.length > 3) {
    const stored = `${nameOfType(type)} is stored as ${dtype} of 2 or 3 dimensions`;
    throw damaged(weight, `is ${weight.dtype} of shape ${quoteValue(weight.shape)}; ${stored}`);
  }
  if (third === undefined) {
    if (isShape(scale, [first, 1])) return { n: first, k: second, groups: 1, transposed: false };
    if (isShape(scale, [1, second])) return { n: second, k: first, groups: 1, transposed: true };
    throw damaged(
      scale,
      `has shape ${quoteValue(scale.shape)}; for a weight of ${quoteValue(weight.shape)} it must be [${first},1] or, transposed, [1,${second}]`,
    );
  }
  const [n, groups] = groupsOf(scale, nameOfType(type));
  if (n !== first || groups !== second)
    throw damaged(scale, `has shape ${quoteValue(scale.shape)}; for a weight of ${quoteValue(weight.shape)} it must be [${first},${second},1]`);
  return { n, k: second * third, groups, transposed: false };
}

function nameOfType({ bits, signed }: StoredType): string {
  return `${signed ? '' : 'u'}int${bits}`;
}

/** Rows and groups of a scale of [N, 1] or [N, groups, 1]. */
function groupsOf(scale: StoredTensor, type: string): [number, number] {
  const [rows, second] = scale.shape;
  if (rows !== undefined && rows > 0 && second !== undefined) {
    if (isShape(scale, [rows, 1])) return [rows, 1];
    if (isShape(scale, [rows, second, 1])) return [rows, second];
  }
  throw damaged(scale, `has shape ${quoteValue(scale.shape)}; for ${type} it must be [N,1] or [N,groups,1]`);
}

function zeroPointOf(table: TensorTable, name: string, type: StoredType, scale: StoredTensor): StoredTensor | null {
  const zeroPoint = table.tensors.get(`${name}.zero_point`);
  const typeName = nameOfType(type);
  if (type.signed) {
    if (zeroPoint !== undefined) throw unsupported(zeroPoint, `belongs to an ${typeName} weight; signed types are supported without zero points`);
    return null;
  }
  if (zeroPoint === undefined) throw damaged(scale, `belongs to a ${typeName} weight whose ${quoteValue(`${name}.zero_point`)} is missing`);
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
  if (!isFloatType(tensor.dtype)) throw damaged(tensor, `is ${tensor.dtype}; without a scale it must be ${floatTypes.join(', ')}`);
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
