import { type ImageSettings, imageSettings, type Texts, wholeNumber } from './image-settings.ts';
import { asObject, parseJsonObject } from './parse-json.ts';

interface Node {
  type: string;
  inputs: Record<string, unknown>;
}
type Graph = ReadonlyMap<string, Node>;

/** Links are followed this far at most. */
const MAX_DEPTH = 100;

/** Inputs that lead to the text of the prompt, the most specific first. */
const TEXT_INPUTS = ['text', 'prompt', 't5xxl', 'text_g', 'clip_l', 'text_l', 'value', 'string', 'positive_prompt', 'conditioning', 'positive'];
/** Inputs of nodes that join two texts. */
const JOINED_INPUTS = [
  ['string_a', 'string_b'],
  ['text_a', 'text_b'],
  ['text1', 'text2'],
] as const;
/** Inputs that do not lead to the prompt, whatever the node. */
const OTHER_INPUTS: ReadonlySet<string> = new Set(['clip', 'model', 'vae', 'image', 'control_net', 'negative']);
/** Inputs that lead to a number. */
const NUMBER_INPUTS = ['value', 'int', 'number', 'seed', 'noise_seed', 'steps', 'sigmas'];
/** Inputs that lead from a sampler's latents to the node that sets their size. */
const LATENT_INPUTS = ['latent_image', 'samples', 'latent'];

/** ComfyUI writes its graph in API form as `prompt`: the settings come from the first sampler whose prompt can be found. */
export function readComfyUi(texts: Texts): ImageSettings | null {
  const graph = parseGraph(texts.get('prompt'));
  for (const node of graph.values()) {
    const settings = samplerSettings(graph, node);
    if (settings !== null) return settings;
  }
  return null;
}

function parseGraph(text: string | undefined): Graph {
  const nodes = Object.entries(parseJsonObject(text) ?? {}).flatMap(([id, value]): [string, Node][] => {
    const node = asObject(value);
    const inputs = asObject(node?.['inputs']);
    const type = node?.['class_type'];
    return typeof type === 'string' && inputs !== null ? [[id, { type, inputs }]] : [];
  });
  return new Map(nodes);
}

/** Null for any node but a sampler. */
function samplerSettings(graph: Graph, { type, inputs }: Node): ImageSettings | null {
  if (!/sampler/i.test(type) || !('latent_image' in inputs)) return null;
  const size = latentSize(graph, inputs['latent_image'], new Set());
  // SamplerCustomAdvanced has its guidance, noise and steps in nodes of their own
  return imageSettings({
    prompt: textOf(graph, inputs['positive'] ?? inputs['guider'], new Set()),
    width: numberOf(graph, size?.['width'], new Set()),
    height: numberOf(graph, size?.['height'], new Set()),
    steps: numberOf(graph, inputs['steps'] ?? inputs['sigmas'], new Set()),
    seed: numberOf(graph, inputs['seed'] ?? inputs['noise_seed'] ?? inputs['noise'], new Set()),
  });
}

interface Linked extends Node {
  /** Number of the output that the link comes from. */
  output: number;
}

/** The node behind a link, which is a pair of a node's id and an output. Null for other values and for a node that was `seen` before. */
function follow(graph: Graph, value: unknown, seen: Set<string>): Linked | null {
  if (!Array.isArray(value) || value.length !== 2 || typeof value[1] !== 'number') return null;
  const id = String(value[0]);
  const node = graph.get(id);
  if (node === undefined || seen.has(id) || seen.size >= MAX_DEPTH) return null;
  seen.add(id);
  return { ...node, output: value[1] };
}

function textOf(graph: Graph, value: unknown, seen: Set<string>): string | null {
  if (typeof value === 'string') return value.trim() === '' ? null : value;
  const node = follow(graph, value, seen);
  if (node === null) return null;
  const { inputs, output } = node;
  // nodes such as ControlNetApplyAdvanced pass on both prompts, the positive one first
  if (output === 1 && 'negative' in inputs) return textOf(graph, inputs['negative'], seen);
  for (const names of JOINED_INPUTS) {
    if (!names.every((name) => name in inputs)) continue;
    const delimiter = typeof inputs['delimiter'] === 'string' ? inputs['delimiter'] : '';
    const parts = names.flatMap((name) => textOf(graph, inputs[name], seen) ?? []);
    return parts.length === 0 ? null : parts.join(delimiter);
  }
  const unnamed = Object.keys(inputs).filter((name) => Array.isArray(inputs[name]) && !TEXT_INPUTS.includes(name) && !OTHER_INPUTS.has(name));
  for (const name of [...TEXT_INPUTS, ...unnamed]) {
    const text = textOf(graph, inputs[name], seen);
    if (text !== null) return text;
  }
  return null;
}

function numberOf(graph: Graph, value: unknown, seen: Set<string>): number | null {
  const number = wholeNumber(value);
  const inputs = number === null ? follow(graph, value, seen)?.inputs : undefined;
  if (inputs === undefined) return number;
  for (const name of NUMBER_INPUTS) {
    const found = numberOf(graph, inputs[name], seen);
    if (found !== null) return found;
  }
  return null;
}

/** The inputs of the nearest node that sets width and height. */
function latentSize(graph: Graph, value: unknown, seen: Set<string>): Record<string, unknown> | null {
  const inputs = follow(graph, value, seen)?.inputs;
  if (inputs === undefined) return null;
  if ('width' in inputs && 'height' in inputs) return inputs;
  for (const name of LATENT_INPUTS) {
    const size = latentSize(graph, inputs[name], seen);
    if (size !== null) return size;
  }
  return null;
}
