import { type FloatType, type Graph, type GraphNode, type TensorType, TYPE_NUMBER } from './ir.ts';

/**
 * The graph for a device without kernels in half width, of the same values: each node computes in float32, as a GPU adds up its products, and what it makes is
 * rounded to the type that it has there. What goes beyond that type's range becomes infinite here too. `types` has the type of every value.
 */
export function emulateHalf(graph: Graph, types: ReadonlyMap<string, TensorType>): Graph {
  const nodes: GraphNode[] = [];
  const widened = new Map<string, string>();
  const halfType = (value: string): FloatType | null => {
    const type = types.get(value)?.type;
    return type === 'float16' || type === 'bfloat16' ? type : null;
  };
  const cast = (from: string, to: string, type: FloatType): void => {
    nodes.push({ name: `${to}/Cast`, op: 'Cast', domain: '', inputs: [from], outputs: [to], attributes: { to: TYPE_NUMBER[type] }, hints: { to: type } });
  };
  const widen = (value: string): string => {
    if (halfType(value) === null) return value;
    const wide = widened.get(value) ?? `${value}:wide`;
    if (!widened.has(value)) cast(value, wide, 'float32');
    widened.set(value, wide);
    return wide;
  };

  for (const node of graph.nodes) {
    if (node.op === 'Cast') {
      nodes.push(node);
      continue;
    }
    const inputs = node.inputs.map(widen);
    nodes.push({ ...node, inputs, outputs: node.outputs.map((value) => (halfType(value) === null ? value : `${value}:exact`)) });
    for (const value of node.outputs) {
      const type = halfType(value);
      if (type !== null) cast(`${value}:exact`, value, type);
    }
  }
  return { ...graph, nodes };
}
