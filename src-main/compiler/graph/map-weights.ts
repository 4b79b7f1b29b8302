import { ELEMENT_BYTES, elementCount, type Graph, type Initializer } from './ir.ts';

/**
 * The graph with as many of the weights mapped that may be as it takes to bring `loadedBytes`, what it takes once loaded, down to `mostBytes`; all of them
 * where that does not do. A mapped weight costs time at each run: half a millisecond a megabyte of int8, and less than that for the factors of an SVD.
 */
export function mapWeights(graph: Graph, loadedBytes: number, mostBytes: number): Graph {
  let left = loadedBytes - mostBytes;
  const initializers = graph.initializers.map((weight): Initializer => {
    if (weight.mapped === undefined || left <= 0) return weight;
    left -= loadedBytesOf(weight);
    return { ...weight, mapped: 'is' };
  });
  return { ...graph, initializers };
}

/** Integers are kept as they are, floats as float32. */
function loadedBytesOf({ type, shape }: Initializer): number {
  return (elementCount(shape) ?? 0) * (type === 'int8' || type === 'uint8' ? ELEMENT_BYTES[type] : ELEMENT_BYTES.float32);
}
