import { type GraphMemory, MAX_PROMPT_TOKENS } from '#main/lib/compiled.ts';
import { type Dim, ELEMENT_BYTES, type Graph, type GraphNode, type TensorType } from './ir.ts';

/** Two sizes that a line is laid through, in units. */
const [SMALL, LARGE] = [1024, 4096];

/** Begins the names of the sizes of LoRAs, each of which is one of its own; counted as this many. */
export const LORA_RANK = 'lora_rank.';
const COUNTED_RANK = 32;

/** Operators whose output is their input's bytes, and those that may overwrite an input that no later node needs. */
const VIEWS: ReadonlySet<string> = new Set(['Reshape']);
const IN_PLACE: ReadonlySet<string> = new Set(['Add', 'Mul', 'QuickGelu', 'Tanh', 'Relu', 'LeakyRelu']);

type Types = ReadonlyMap<string, TensorType>;

/**
 * What a graph takes once loaded and while it runs, from its shapes alone: `types` of all its values. Constants that ONNX Runtime folds count as what they
 * become. A table of which single rows are looked up stays in its file, unless it `copiesTables`, as CUDA does.
 */
export function graphMemory(graph: Graph, types: Types, copiesTables = false): GraphMemory {
  const folded = foldedValues(graph);
  const nodes = graph.nodes.filter(({ outputs }) => !outputs.some((name) => folded.has(name)));
  const [small, large] = [peakBytes(graph, nodes, folded, types, SMALL), peakBytes(graph, nodes, folded, types, LARGE)];
  const perUnit = (large - small) / (LARGE - SMALL);
  return { loadedBytes: loadedBytes(nodes, folded, types, copiesTables), runningBytes: { fixed: Math.max(0, small - perUnit * SMALL), perUnit } };
}

/** Names of all values that are known before the graph runs. */
export function foldedValues(graph: Graph): ReadonlySet<string> {
  const folded = new Set(graph.initializers.flatMap(({ name, mapped }) => (mapped === 'is' ? [] : [name])));
  for (const { inputs, outputs } of graph.nodes) {
    if (inputs.every((name) => name === '' || folded.has(name))) for (const name of outputs) folded.add(name);
  }
  return folded;
}

function loadedBytes(nodes: readonly GraphNode[], folded: ReadonlySet<string>, types: Types, copiesTables: boolean): number {
  const counted = new Set<string>();
  let bytes = 0;
  for (const { op, inputs, attributes } of nodes) {
    for (const [at, name] of inputs.entries()) {
      if (!folded.has(name) || counted.has(name) || (op === 'Gather' && at === 0 && !copiesTables)) continue;
      counted.add(name);
      const size = sizeOf(types, name, 0);
      // with int8 activations each block's scale is packed beside the weight, and once more times the sum of the block; what was packed is kept
      bytes += op === 'MatMulNBits' && at === 2 && attributes['accuracy_level'] === 4 ? 3 * size : size;
    }
  }
  return bytes;
}

/** Peak of a run with `units`, its inputs and outputs included. */
function peakBytes(graph: Graph, nodes: readonly GraphNode[], folded: ReadonlySet<string>, types: Types, units: number): number {
  const owner = new Map<string, string>();
  const ownerOf = (name: string): string => owner.get(name) ?? name;
  for (const { op, inputs, outputs } of nodes) if (VIEWS.has(op)) owner.set(outputs[0] ?? '', ownerOf(inputs[0] ?? ''));
  const lastUse = new Map<string, number>();
  for (const [at, { inputs }] of nodes.entries()) for (const name of inputs) lastUse.set(ownerOf(name), at);
  for (const { name } of graph.outputs) lastUse.set(ownerOf(name), nodes.length);

  const bytes = (name: string): number => (name === '' || folded.has(name) ? 0 : sizeOf(types, name, units));
  const alive = new Set(graph.inputs.map(({ name }) => name));
  let now = [...alive].reduce((sum, name) => sum + bytes(name), 0);
  let peak = now;
  for (const [at, { op, inputs, outputs }] of nodes.entries()) {
    const made = VIEWS.has(op) ? [] : outputs;
    const dying = new Set(inputs.map(ownerOf).filter((name) => alive.has(name) && lastUse.get(name) === at));
    const madeBytes = made.reduce((sum, name) => sum + bytes(name), 0);
    const reused = IN_PLACE.has(op) && [...dying].some((name) => bytes(name) === madeBytes) ? madeBytes : 0;
    peak = Math.max(peak, now + madeBytes - reused);
    for (const name of made) alive.add(name);
    for (const name of dying) alive.delete(name);
    now += madeBytes - [...dying].reduce((sum, name) => sum + bytes(name), 0);
  }
  return peak;
}

function sizeOf(types: Types, name: string, units: number): number {
  const type = types.get(name);
  if (type === undefined) return 0;
  return type.shape.reduce<number>((product, dim) => product * evaluate(dim, units), ELEMENT_BYTES[type.type]);
}

/** `2*height`, `image_tokens+caption_tokens`: sums of products. An image of `units` pixels is taken as square. */
function evaluate(dim: Dim, units: number): number {
  if (typeof dim === 'number') return dim;
  const product = (term: string): number => term.split('*').reduce((value, name) => value * named(name, units), 1);
  return dim.split('+').reduce((sum, term) => sum + product(term), 0);
}

function named(name: string, units: number): number {
  if (/^\d+$/.test(name)) return Number(name);
  if (name.startsWith(LORA_RANK)) return COUNTED_RANK;
  if (name === 'height' || name === 'width') return Math.sqrt(units);
  // in graphs with image and caption tokens the unit is an image token, and the prompt is the longest
  return name === 'caption_tokens' ? MAX_PROMPT_TOKENS : units;
}
