import type { GraphTarget } from '#main/lib/compiled.ts';
import type { GraphBuilder } from '../graph/builder.ts';
import type { FloatType, Value } from '../graph/ir.ts';
import { cast, multiply } from './basic.ts';

/** What the graphs of a transformer or a text encoder compute in. */
export interface Numerics {
  /** The residual stream: what layers add to, from the first to the last. */
  stream: FloatType;
  /** The products of a layer and what goes into them. */
  compute: FloatType;
  /**
   * By which a layer's inner values are multiplied so that they, and the product that follows, stay within `compute`. A power of two, so that nothing is
   * rounded; it is divided out again, or cancels in the norm that follows.
   */
  innerScale: number;
  /** `com.microsoft.MatMulNBits` `accuracy_level`: 0 computes in the type of its input, 4 quantizes activations to int8. */
  accuracyLevel: 0 | 4;
  /** Whether layers that sdnq computes with int8 activations match sdnq, or full-precision activations. */
  roundsActivations: boolean;
  /** Whether signed and transposed bytes become MatMulNBits's in the graph, when the session loads: no copy on the disk, more memory while loading. */
  foldsBytes: boolean;
}

const exact: Numerics = { stream: 'float32', compute: 'float32', innerScale: 1, accuracyLevel: 0, roundsActivations: false, foldsBytes: false };
const gpu: Numerics = { ...exact, foldsBytes: true };
const bf16: Numerics = { ...gpu, stream: 'bfloat16', compute: 'bfloat16' };
/** float16 ends at 65504, which the feed-forward of Z-Image goes beyond (Tongyi-MAI/Z-Image 14, 15: black images). */
const fp16: Numerics = { ...gpu, compute: 'float16', innerScale: 2 ** -7 };

export const numericsOf: Readonly<Record<GraphTarget, Numerics>> = {
  'cpu-exact': { ...exact, roundsActivations: true },
  'cpu-fast': { ...exact, accuracyLevel: 4 },
  'gpu-fp32': gpu,
  'gpu-bf16': bf16,
  'gpu-fp16': fp16,
  'emulated-bf16': bf16,
  'emulated-fp16': fp16,
};

/** x times `innerScale`, in x's own type `compute`. */
export function scaled(graph: GraphBuilder, x: Value, { innerScale, compute }: Numerics): Value {
  return innerScale === 1 ? x : multiply(graph, x, cast(graph, graph.scalar(innerScale), compute));
}
