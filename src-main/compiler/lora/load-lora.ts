import type { Lora, LoraFactors, LoraTarget } from '#main/lib/compiled.ts';
import { isRecord } from '#main/lib/is-record.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { isFloatType } from '#main/lib/widen-floats.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { showShape } from '../graph/ir.ts';
import type { StoredTensor } from '../safetensors/header.ts';
import { openSafetensors } from '../safetensors/open-safetensors.ts';
import { readFloats } from '../safetensors/read-tensor.ts';
import { createLoraPlaces, isDoraName, isTextEncoderName, type LoraPart, type LoraPlace, parseLoraName } from './lora-names.ts';

/** Keys that a message lists. */
const LISTED_KEYS = 3;
/** A LoKr's Kronecker product may have this rank at most; with more the added products would be as large as the model. */
const LARGEST_RANK = 512;

export interface LoadedLora extends Lora {
  /** What of the file is left out, a sentence each. */
  notices: string[];
  /** What the file says about itself, such as its trigger words. */
  metadata: ReadonlyMap<string, string>;
}

type Parts = Partial<Record<LoraPart, StoredTensor>>;

/**
 * Reads a LoRA or LoKr file for a model with these linears, in any published naming.
 * Throws `lora_unsupported`, which names the first keys that do not fit, and what `openSafetensors` throws.
 * Sources: peft 0.21 `tuners/lora/layer.py`, `tuners/lokr/layer.py`; diffusers 0.42.1 `loaders/lora_conversion_utils.py`.
 */
export async function loadLora(path: string, identity: string, targets: readonly LoraTarget[]): Promise<LoadedLora> {
  const { tensors, metadata } = await openSafetensors(path);
  const refuse = (reason: string): AppError => new AppError('lora_unsupported', `${path} cannot be used as a LoRA: ${reason}.`, { path });
  const listed = (keys: readonly string[]): string => {
    const more = keys.length > LISTED_KEYS ? ` and ${keys.length - LISTED_KEYS} more` : '';
    return `${keys.slice(0, LISTED_KEYS).map(quoteValue).join(', ')}${more}`;
  };

  const names = [...tensors.keys()];
  const ignored = names.filter(isTextEncoderName);
  const used = names.filter((name) => !isTextEncoderName(name));
  const dora = used.filter(isDoraName);
  if (dora.length > 0) throw refuse(`it is a DoRA (${listed(dora)}), which is not supported; use a plain LoRA`);
  const unknown = used.filter((name) => parseLoraName(name) === null);
  if (unknown.length > 0) throw refuse(`it holds tensors of another kind than LoRA and LoKr: ${listed(unknown)}`);

  const modules = new Map<string, Parts>();
  for (const name of used) {
    const parsed = parseLoraName(name);
    const tensor = tensors.get(name);
    if (parsed === null || tensor === undefined) continue;
    const parts = modules.get(parsed.module) ?? {};
    if (parts[parsed.part] !== undefined) throw refuse(`${quoteValue(name)} and ${quoteValue(parts[parsed.part]?.name)} are the same tensor of one module`);
    parts[parsed.part] = tensor;
    modules.set(parsed.module, parts);
  }
  const placeOf = createLoraPlaces(targets);
  const foreign = [...modules].filter(([module]) => placeOf(module) === null).flatMap(([, parts]) => Object.values(parts).map(({ name }) => name));
  if (foreign.length > 0) throw refuse(`it is for another model; this one has no layers for ${listed(foreign)}`);
  if (modules.size === 0) throw refuse('it holds no LoRA for the transformer');

  const factorOf = readPeftFactors(metadata.get('lora_adapter_metadata'), refuse);
  const result = new Map<string, LoraFactors>();
  const properNames = new Set([...modules.keys()].flatMap((module) => properTargets(placeOf(module))));
  const origins = new Map<string, string>();
  for (const [module, parts] of modules) {
    const place = placeOf(module);
    // the same layers stand beside it under their own names
    if (place === null || (place.isAlias && place.targets.some(({ name }) => properNames.has(name)))) continue;
    const factors = await readModule(parts, place, factorOf, refuse);
    for (const [i, { name }] of place.targets.entries()) {
      const other = origins.get(name);
      if (other !== undefined) throw refuse(`${quoteValue(module)} and ${quoteValue(other)} are two names of one layer`);
      origins.set(name, module);
      result.set(name, factors[i] as LoraFactors);
    }
  }
  const notice = `${ignored.length} tensors for the text encoder were left out (${listed(ignored)}).`;
  return { identity, modules: result, notices: ignored.length > 0 ? [notice] : [], metadata };
}

function properTargets(place: LoraPlace | null): string[] {
  return place === null || place.isAlias ? [] : place.targets.map(({ name }) => name);
}

type Refuse = (reason: string) => AppError;
/** The factor that a file's metadata give a module of `rank`, or null where they say nothing. */
type FactorOf = (module: string, rank: number) => number | null;

async function readModule(parts: Parts, place: LoraPlace, factorOf: FactorOf, refuse: Refuse): Promise<LoraFactors[]> {
  const first = Object.values(parts)[0];
  if (parts.down !== undefined || parts.up !== undefined) return readLora(parts, place, factorOf, refuse);
  if (parts.w1 ?? parts.w1a ?? parts.w2 ?? parts.w2a) {
    if (place.targets.length > 1) throw refuse(`${quoteValue(first?.name)} is a LoKr of fused layers, which cannot be split`);
    return [await readLokr(parts, place.targets[0] as LoraTarget, refuse)];
  }
  throw refuse(`${quoteValue(first?.name)} stands alone, without the matrices that it scales`);
}

async function readLora({ down, up, alpha }: Parts, { targets }: LoraPlace, factorOf: FactorOf, refuse: Refuse): Promise<LoraFactors[]> {
  if (down === undefined || up === undefined) throw refuse(`${quoteValue((down ?? up)?.name)} has no counterpart; each layer needs both matrices`);
  const [rank = 0, inWidth] = down.shape;
  const outWidth = targets.reduce((sum, target) => sum + target.outWidth, 0);
  const wanted = targets[0]?.inWidth ?? 0;
  if (down.shape.length !== 2 || up.shape.length !== 2 || inWidth !== wanted || up.shape[0] !== outWidth) {
    const shapes = `${quoteValue(down.name)} is ${showShape(down.shape)} and ${quoteValue(up.name)} ${showShape(up.shape)}`;
    throw refuse(`${shapes}; this model needs [rank, ${wanted}] and [${outWidth}, rank]`);
  }
  if (up.shape[1] !== rank || rank === 0) throw refuse(`the ranks of ${quoteValue(down.name)} (${rank}) and ${quoteValue(up.name)} (${up.shape[1]}) differ`);
  const factor = alpha ? (await scalarOf(alpha, refuse)) / rank : (factorOf(targets[0]?.name ?? '', rank) ?? 1);
  const shared = scale(await finiteFloats(down, refuse), factor);
  const rows = await finiteFloats(up, refuse);
  let start = 0;
  return targets.map(({ outWidth: own }) => {
    const part = rows.subarray(start * rank, (start + own) * rank);
    start += own;
    return { rank, down: shared, up: part };
  });
}

/** The Kronecker product of two matrices as a product of a tall and a wide one. */
async function readLokr(parts: Parts, target: LoraTarget, refuse: Refuse): Promise<LoraFactors> {
  const one = await readFactor(parts.w1, parts.w1a, parts.w1b, refuse);
  const two = await readFactor(parts.w2, parts.w2a, parts.w2b, refuse);
  const name = quoteValue((parts.w1 ?? parts.w1a)?.name);
  if (one.rows * two.rows !== target.outWidth || one.columns * two.columns !== target.inWidth) {
    const product = `[${one.rows * two.rows}, ${one.columns * two.columns}]`;
    throw refuse(`${name} and its counterpart make ${product}; this model needs [${target.outWidth}, ${target.inWidth}]`);
  }
  const innerRank = parts.w2b?.shape[0] ?? parts.w1b?.shape[0];
  const factor = parts.alpha && innerRank !== undefined ? (await scalarOf(parts.alpha, refuse)) / innerRank : 1;
  const rank = one.inner * two.inner;
  if (rank > LARGEST_RANK) throw refuse(`${name} makes a LoKr of rank ${rank}; up to ${LARGEST_RANK} can be added`);
  // kron(P Q, R S) = kron(P, R) kron(Q, S)
  const up = kronecker(one.left, one.rows, one.inner, two.left, two.rows, two.inner);
  const down = kronecker(one.right, one.inner, one.columns, two.right, two.inner, two.columns);
  return { rank, down: scale(down, factor), up };
}

/** A matrix [rows, columns] as left [rows, inner] times right [inner, columns], with an inner width as small as can be seen. */
interface Factored {
  rows: number;
  columns: number;
  inner: number;
  left: Float32Array;
  right: Float32Array;
}

async function readFactor(whole: StoredTensor | undefined, a: StoredTensor | undefined, b: StoredTensor | undefined, refuse: Refuse): Promise<Factored> {
  if (whole !== undefined) {
    const [rows = 0, columns = 0] = whole.shape;
    if (whole.shape.length !== 2) throw refuse(`${quoteValue(whole.name)} is ${showShape(whole.shape)}; a matrix is needed`);
    const values = await finiteFloats(whole, refuse);
    return rows < columns
      ? { rows, columns, inner: rows, left: identityMatrix(rows), right: values }
      : { rows, columns, inner: columns, left: values, right: identityMatrix(columns) };
  }
  if (a === undefined || b === undefined) throw refuse(`${quoteValue((a ?? b)?.name ?? 'a LoKr')} has no counterpart`);
  const [rows = 0, inner = 0] = a.shape;
  const [innerRows, columns = 0] = b.shape;
  if (a.shape.length !== 2 || b.shape.length !== 2 || inner !== innerRows) {
    throw refuse(`${quoteValue(a.name)} ${showShape(a.shape)} and ${quoteValue(b.name)} ${showShape(b.shape)} do not fit together`);
  }
  return { rows, columns, inner, left: await finiteFloats(a, refuse), right: await finiteFloats(b, refuse) };
}

function identityMatrix(size: number): Float32Array {
  const values = new Float32Array(size * size);
  for (let i = 0; i < size; i++) values[i * size + i] = 1;
  return values;
}

/** [r1, c1] and [r2, c2] -> [r1 * r2, c1 * c2]. */
function kronecker(one: Float32Array, rows1: number, columns1: number, two: Float32Array, rows2: number, columns2: number): Float32Array {
  const columns = columns1 * columns2;
  const out = new Float32Array(rows1 * rows2 * columns);
  for (let row = 0; row < rows1 * rows2; row++) {
    const [row1, row2] = [Math.floor(row / rows2), row % rows2];
    for (let column = 0; column < columns; column++) {
      const [column1, column2] = [Math.floor(column / columns2), column % columns2];
      out[row * columns + column] = (one[row1 * columns1 + column1] ?? 0) * (two[row2 * columns2 + column2] ?? 0);
    }
  }
  return out;
}

function scale(values: Float32Array, factor: number): Float32Array {
  return factor === 1 ? values : values.map((value) => value * factor);
}

async function scalarOf(tensor: StoredTensor, refuse: Refuse): Promise<number> {
  const values = await finiteFloats(tensor, refuse);
  if (values.length !== 1) throw refuse(`${quoteValue(tensor.name)} is ${showShape(tensor.shape)}; one number is needed`);
  return values[0] ?? 0;
}

async function finiteFloats(tensor: StoredTensor, refuse: Refuse): Promise<Float32Array> {
  if (!isFloatType(tensor.dtype)) throw refuse(`${quoteValue(tensor.name)} is ${tensor.dtype}; F32, F16 or BF16 is needed`);
  const values = await readFloats(tensor);
  if (!values.every(Number.isFinite)) throw refuse(`${quoteValue(tensor.name)} holds values that are not finite`);
  return values;
}

/** peft's own configuration, as diffusers saves it in the header. */
function readPeftFactors(text: string | undefined, refuse: Refuse): FactorOf {
  if (text === undefined) return () => null;
  const parsed = parseJson(text);
  if (!isRecord(parsed)) throw refuse('its metadata lora_adapter_metadata is not a JSON object');
  const field = (name: string): unknown => parsed[`transformer.${name}`];
  if (field('use_dora') === true) throw refuse('it is a DoRA (use_dora in its metadata), which is not supported; use a plain LoRA');
  const patternAlpha = (module: string): number | undefined => {
    const patterns = field('alpha_pattern');
    if (!isRecord(patterns)) return undefined;
    // keys are ends of module names
    const key = Object.keys(patterns).find((end) => module === end || module.endsWith(`.${end}`));
    return numberOf(key === undefined ? undefined : patterns[key]);
  };
  return (module, rank) => {
    const alpha = patternAlpha(module) ?? numberOf(field('lora_alpha'));
    if (alpha === undefined) return null;
    return alpha / (field('use_rslora') === true ? Math.sqrt(rank) : rank);
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // what is not JSON is refused by the caller as what is not an object
    return null;
  }
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
