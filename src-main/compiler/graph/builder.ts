import { createHash } from 'node:crypto';
import { AppError } from '#shared/protocol/errors.ts';
import type { Attribute, Dim, ElementType, FileData, Graph, GraphNode, Initializer, TensorType, Value } from './ir.ts';
import { RuleViolation, rules } from './rules.ts';

export interface NodeOptions {
  domain?: string;
  attributes?: Record<string, Attribute>;
  hints?: Record<string, Attribute>;
}

interface State {
  graphName: string;
  inputs: Value[];
  outputs: { value: Value; name: string }[];
  nodes: GraphNode[];
  /** By name, in the order in which they were added. */
  initializers: Map<string, Initializer>;
  /** Inline constants by type and hash of their content, so that each is written once. */
  constants: Map<string, Value>;
  counters: Map<string, number>;
}

/** Builds a graph node by node; each node is checked against its operator's rule as it is added, and a violation names it. */
export class GraphBuilder {
  readonly #state: State;
  readonly #prefix: string;

  constructor(graphName: string, state?: State, prefix = '') {
    this.#state = state ?? { graphName, inputs: [], outputs: [], nodes: [], initializers: new Map(), constants: new Map(), counters: new Map() };
    this.#prefix = prefix;
  }

  /** The same graph, with `name/` before the names of what is added. */
  scope(name: string): GraphBuilder {
    return new GraphBuilder(this.#state.graphName, this.#state, `${this.#prefix}${name}/`);
  }

  /** The input `name`; one that the graph has already is the same. */
  input(name: string, type: ElementType, shape: readonly Dim[]): Value {
    const known = this.#state.inputs.find((other) => other.name === name);
    if (known) return known;
    const value = { name, type, shape };
    this.#state.inputs.push(value);
    return value;
  }

  /** Makes `value` an output of the graph, to be fetched by `name`. */
  output(value: Value, name: string): void {
    this.#state.outputs.push({ value, name });
  }

  /** A weight that stays where it is; `shape` may read the same bytes in another shape than the file does. */
  weight(name: string, type: ElementType, shape: readonly number[], data: FileData, options: Pick<Initializer, 'mapped'> = {}): Value {
    const known = this.#state.initializers.get(name);
    if (known) return known;
    const initializer: Initializer = { name, type, shape, data, ...options };
    this.#state.initializers.set(name, initializer);
    return initializer;
  }

  /** A constant inside the ONNX file. */
  constant(type: ElementType, shape: readonly number[], bytes: Uint8Array): Value {
    const key = `${type} ${shape.join('x')} ${createHash('sha256').update(bytes).digest('hex')}`;
    const known = this.#state.constants.get(key);
    if (known) return known;
    const initializer: Initializer = { name: `const_${this.#state.constants.size}`, type, shape, data: { kind: 'inline', bytes } };
    this.#state.initializers.set(initializer.name, initializer);
    this.#state.constants.set(key, initializer);
    return initializer;
  }

  ints(values: readonly number[], shape: readonly number[] = [values.length]): Value {
    const data = BigInt64Array.from(values, (value) => BigInt(value));
    return this.constant('int64', shape, new Uint8Array(data.buffer));
  }

  floats(values: readonly number[] | Float32Array, shape: readonly number[] = [values.length]): Value {
    const data = Float32Array.from(values);
    return this.constant('float32', shape, new Uint8Array(data.buffer));
  }

  scalar(value: number): Value {
    return this.floats([value], []);
  }

  /** Adds a node and returns its only output. */
  add(op: string, inputs: readonly (Value | null)[], options: NodeOptions = {}): Value {
    const [output] = this.addMany(op, inputs, options);
    if (output === undefined) throw this.#invalid(op, 'the operator returns nothing');
    return output;
  }

  /** Adds a node and returns all its outputs. */
  addMany(op: string, inputs: readonly (Value | null)[], options: NodeOptions = {}): Value[] {
    const { domain = '', attributes = {}, hints = {} } = options;
    const stem = `${this.#prefix}${op}`;
    const count = this.#state.counters.get(stem) ?? 0;
    this.#state.counters.set(stem, count + 1);
    const name = count === 0 ? stem : `${stem}_${count}`;
    const types = this.#infer(name, domain === '' ? op : `${domain}.${op}`, { inputs, attributes, hints });
    const outputs = types.map((type, i) => ({ ...type, name: i === 0 ? `${name}:out` : `${name}:out${i}` }));
    this.#state.nodes.push({
      name,
      op,
      domain,
      inputs: inputs.map((value) => value?.name ?? ''),
      outputs: outputs.map((value) => value.name),
      attributes,
      hints,
    });
    return outputs;
  }

  /** The graph built so far; its outputs have the names by which they are fetched. */
  finish(): Graph {
    const { graphName, inputs, outputs, nodes, initializers } = this.#state;
    const renamed = new Map(outputs.map(({ value, name }) => [value.name, name]));
    const wire = (name: string): string => renamed.get(name) ?? name;
    return {
      name: graphName,
      inputs,
      outputs: outputs.map(({ value, name }) => ({ ...value, name })),
      nodes: nodes.map((node) => ({ ...node, inputs: node.inputs.map(wire), outputs: node.outputs.map(wire) })),
      initializers: [...initializers.values()],
    };
  }

  #infer(
    name: string,
    op: string,
    context: { inputs: readonly (TensorType | null)[]; attributes: Record<string, Attribute>; hints: Record<string, Attribute> },
  ): TensorType[] {
    const rule = rules[op];
    if (!rule) throw this.#invalid(name, `the operator ${op} has no rule; known are ${Object.keys(rules).join(', ')}`);
    try {
      return rule(context);
    } catch (cause) {
      if (cause instanceof RuleViolation) throw this.#invalid(name, cause.message, cause);
      throw cause;
    }
  }

  #invalid(node: string, reason: string, cause?: unknown): AppError {
    const graph = this.#state.graphName;
    return new AppError('graph_invalid', `The graph ${graph} is not valid at node ${node}: ${reason}.`, { graph, node }, { cause });
  }
}
