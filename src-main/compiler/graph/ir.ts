/** The graph that architectures build and the ONNX writer writes: values, nodes, weights by reference. */

export type ElementType = 'float32' | 'float16' | 'bfloat16' | 'uint8' | 'int8' | 'int32' | 'int64' | 'bool';

/** Types that numbers are computed in. */
export type FloatType = 'float32' | 'float16' | 'bfloat16';

/** Numbers of the types in an ONNX file. Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
export const TYPE_NUMBER: Record<ElementType, number> = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9, float16: 10, bfloat16: 16 };

export const ELEMENT_BYTES: Record<ElementType, number> = { float32: 4, float16: 2, bfloat16: 2, uint8: 1, int8: 1, int32: 4, int64: 8, bool: 1 };

/** A size: a number, or a name for one that is known only when the graph runs (`tokens`, `2*height`). */
export type Dim = number | string;

export interface TensorType {
  type: ElementType;
  shape: readonly Dim[];
}

export interface Value extends TensorType {
  name: string;
}

export type Attribute = number | string | readonly number[] | { float: number } | { floats: readonly number[] };

export interface GraphNode {
  name: string;
  op: string;
  /** Empty for ONNX's own operators; `com.microsoft` for ONNX Runtime's. */
  domain: string;
  /** Value names; an empty one is an omitted optional input. */
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: Readonly<Record<string, Attribute>>;
  /** What the rule of this operator must know and ONNX has no attribute for, such as the shape that a Reshape leads to. Never written. */
  hints: Readonly<Record<string, Attribute>>;
}

/** Bytes that stay in a file: the published weights, used in place. */
export interface FileData {
  kind: 'file';
  /** Absolute path. */
  path: string;
  offset: number;
  byteLength: number;
}

/** Bytes that travel inside the ONNX file. */
export interface InlineData {
  kind: 'inline';
  bytes: Uint8Array;
}

export interface Initializer extends Value {
  data: FileData | InlineData;
  /**
   * `may be` where the graph bears that ONNX Runtime reads the weight where it lies, at each run, instead of holding it in the layout that its kernel likes
   * best; `is` where it does so.
   */
  mapped?: 'may be' | 'is';
}

export interface Graph {
  name: string;
  inputs: readonly Value[];
  outputs: readonly Value[];
  nodes: readonly GraphNode[];
  initializers: readonly Initializer[];
}

/** Elements of a shape whose sizes are all known, else null. */
export function elementCount(shape: readonly Dim[]): number | null {
  let count = 1;
  for (const dim of shape) {
    if (typeof dim === 'string') return null;
    count *= dim;
  }
  return count;
}

/** `factor * dim`, for symbolic sizes too. */
export function scaleDim(dim: Dim, factor: number): Dim {
  if (typeof dim === 'number') return dim * factor;
  const scaled = /^(\d+)\*(.+)$/.exec(dim);
  return scaled ? `${Number(scaled[1]) * factor}*${scaled[2]}` : `${factor}*${dim}`;
}

/** Half of `dim`, which is even: `8*height` is `4*height`. */
export function halveDim(dim: Dim): Dim {
  if (typeof dim === 'number') return dim / 2;
  const [, factor, rest = ''] = /^(\d+)\*(.+)$/.exec(dim) ?? [];
  if (factor === undefined || Number(factor) % 2 !== 0) throw new Error(`${dim} is not known to be even.`);
  return factor === '2' ? rest : `${Number(factor) / 2}*${rest}`;
}

export function showShape(shape: readonly Dim[]): string {
  return `[${shape.join(', ')}]`;
}
