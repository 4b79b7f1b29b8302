import { AppError } from '#shared/protocol/errors.ts';
import { ELEMENT_BYTES, elementCount, type Graph, type TensorType } from './ir.ts';
import { RuleViolation, rules } from './rules.ts';

/**
 * Checks a finished graph as a whole: names are unique, every value is made before it is used, every node obeys its operator's rule,
 * every weight has as many bytes as its type and shape need, nothing is made in vain. Returns the types of all values, by name. Throws `graph_invalid`,
 * naming the node at fault.
 */
export function verifyGraph(graph: Graph): ReadonlyMap<string, TensorType> {
  const fail = (node: string, reason: string, cause?: unknown): never => {
    throw new AppError('graph_invalid', `The graph ${graph.name} is not valid at node ${node}: ${reason}.`, { graph: graph.name, node }, { cause });
  };
  const values = new Map<string, TensorType>();
  const define = (node: string, name: string, type: TensorType): void => {
    if (name === '') fail(node, 'a value has no name');
    if (values.has(name)) fail(node, `the value ${name} is made twice`);
    values.set(name, type);
  };

  for (const value of graph.inputs) define('inputs', value.name, value);
  for (const weight of graph.initializers) {
    define(weight.name, weight.name, weight);
    const count = elementCount(weight.shape);
    const needed = count === null ? fail(weight.name, 'a weight cannot have a free size') : count * ELEMENT_BYTES[weight.type];
    const held = weight.data.kind === 'file' ? weight.data.byteLength : weight.data.bytes.byteLength;
    if (held !== needed) fail(weight.name, `${weight.type} ${weight.shape.join(' x ')} needs ${needed} bytes, met ${held}`);
  }

  const used = new Set<string>(graph.outputs.map((value) => value.name));
  const nodeNames = new Set<string>();
  for (const node of graph.nodes) {
    if (nodeNames.has(node.name)) fail(node.name, 'another node has this name');
    nodeNames.add(node.name);
    const inputs = node.inputs.map((name) => {
      if (name === '') return null;
      used.add(name);
      return values.get(name) ?? fail(node.name, `its input ${name} is made by nothing before it`);
    });
    const op = node.domain === '' ? node.op : `${node.domain}.${node.op}`;
    const rule = rules[op] ?? fail(node.name, `the operator ${op} has no rule`);
    try {
      const types = rule({ inputs, attributes: node.attributes, hints: node.hints });
      if (types.length !== node.outputs.length) fail(node.name, `${op} returns ${types.length} values, the node names ${node.outputs.length}`);
      for (const [i, type] of types.entries()) define(node.name, node.outputs[i] ?? '', type);
    } catch (cause) {
      if (cause instanceof RuleViolation) fail(node.name, cause.message, cause);
      throw cause;
    }
  }

  for (const output of graph.outputs) if (!values.has(output.name)) fail(output.name, 'this output is made by nothing');
  for (const node of graph.nodes) if (!node.outputs.some((name) => used.has(name))) fail(node.name, 'nothing uses what it makes');
  for (const weight of graph.initializers) if (!used.has(weight.name)) fail(weight.name, 'nothing uses this weight');
  return values;
}
