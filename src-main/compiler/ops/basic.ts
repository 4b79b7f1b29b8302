import type { GraphBuilder } from '../graph/builder.ts';
import { type Dim, type FloatType, TYPE_NUMBER, type Value } from '../graph/ir.ts';

/** Elementwise `a + b`, broadcasting as NumPy does. */
export function add(graph: GraphBuilder, a: Value, b: Value): Value {
  return graph.add('Add', [a, b]);
}

/** Elementwise `a * b`, broadcasting as NumPy does. */
export function multiply(graph: GraphBuilder, a: Value, b: Value): Value {
  return graph.add('Mul', [a, b]);
}

/** `x * sigmoid(x)`: QuickGelu with alpha 1, one pass where Sigmoid and Mul are two. */
export function silu(graph: GraphBuilder, x: Value): Value {
  return graph.add('QuickGelu', [x], { domain: 'com.microsoft', attributes: { alpha: { float: 1 } } });
}

/**
 * The same elements in another shape. At most one size of `shape` may be free (a name); it becomes what is left over.
 */
export function reshape(graph: GraphBuilder, x: Value, shape: readonly Dim[]): Value {
  const wire = graph.ints(shape.map((dim) => (typeof dim === 'string' ? -1 : dim)));
  return graph.add('Reshape', [x, wire], { hints: { to: shape.join(' ') } });
}

const TO_THE_END = Number.MAX_SAFE_INTEGER;

/** `size` rows or columns of x, from `start` to before `end`; null is the end of x. */
export function slice(graph: GraphBuilder, x: Value, axis: 0 | 1, start: number, end: number | Value | null, size: Dim): Value {
  const ends = typeof end === 'number' || end === null ? graph.ints([end ?? TO_THE_END]) : end;
  return graph.add('Slice', [x, graph.ints([start]), ends, graph.ints([axis])], { hints: { axis, size } });
}

/** Axes in a new order. */
export function transpose(graph: GraphBuilder, x: Value, perm: readonly number[]): Value {
  return graph.add('Transpose', [x], { attributes: { perm } });
}

export function concat(graph: GraphBuilder, parts: readonly Value[], axis: number): Value {
  return graph.add('Concat', parts, { attributes: { axis } });
}

/** The same numbers as another float; folded into the weights when the session loads where `x` is a weight. */
export function cast(graph: GraphBuilder, x: Value, to: FloatType): Value {
  return x.type === to ? x : graph.add('Cast', [x], { attributes: { to: TYPE_NUMBER[to] }, hints: { to } });
}

/** [1, C, h, w] -> [1, C, factor * h, factor * w]: each pixel becomes factor x factor. */
export function enlarge(graph: GraphBuilder, x: Value, factor: number): Value {
  const attributes = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
  return graph.add('Resize', [x, null, graph.floats([1, 1, factor, factor])], { attributes, hints: { factor } });
}

/** Root-mean-square norm over the last axis, times `scale` [width] of x's type. */
export function rmsNorm(graph: GraphBuilder, x: Value, scale: Value, epsilon: number): Value {
  return graph.add('SimplifiedLayerNormalization', [x, scale], { attributes: { axis: -1, epsilon: { float: epsilon }, stash_type: 1 } });
}

/** Rotates [1, S, heads * d] by the tables [>= S, d / 2] of x's type; `interleaved` pairs neighbours, else halves. The rows of x are those of the tables from `first` on. */
export function rotate(graph: GraphBuilder, x: Value, cos: Value, sin: Value, heads: number, interleaved: boolean, first = 0): Value {
  const inputs = [x, graph.ints([first]), cos, sin];
  return graph.add('RotaryEmbedding', inputs, { domain: 'com.microsoft', attributes: { num_heads: heads, interleaved: interleaved ? 1 : 0 } });
}

/**
 * Softmax attention, q [1, Sq, H * d], k and v [1, Sk, H * d] -> [1, Sq, H * d]: without a mask, causal, or with a bias [1, 1, Sq, Sk] that is added to the
 * scores.
 */
export function attention(graph: GraphBuilder, q: Value, k: Value, v: Value, heads: number, mask: 'causal' | Value | null = null): Value {
  const attributes = { num_heads: heads, ...(mask === 'causal' ? { unidirectional: 1 } : {}) };
  const inputs = mask === null || mask === 'causal' ? [q, k, v] : [q, k, v, null, null, mask];
  return graph.add('MultiHeadAttention', inputs, { domain: 'com.microsoft', attributes });
}
