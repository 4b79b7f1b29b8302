import { join } from 'node:path';
import { z } from 'zod';
import { exists } from '#main/lib/exists.ts';
import { isRecord } from '#main/lib/is-record.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { readJsonFile } from '#main/lib/read-json-file.ts';
import { AppError } from '#shared/protocol/errors.ts';

/** How a model was quantized by SDNQ, as its files say; nothing is judged yet. */
export interface QuantizationConfig {
  /** The file that contains it. */
  path: string;
  weightsDtype: string;
  /** Every switch of the quantizer, for all layers. */
  switches: Readonly<Record<string, unknown>>;
  /** Type, or the fewest bits, for the layers that a list of patterns names. In the file's order: the first that applies wins. */
  dtypeRules: readonly { dtype: string; patterns: readonly string[] }[];
  /** Switches for the layers that a pattern names. */
  switchRules: readonly { pattern: string; switches: Readonly<Record<string, unknown>> }[];
}

const schema = z.looseObject({
  quant_method: z.string(),
  weights_dtype: z.string(),
  modules_dtype_dict: z.record(z.string(), z.union([z.string(), z.array(z.string())])).nullish(),
  modules_quant_config: z.record(z.string(), z.record(z.string(), z.unknown())).nullish(),
});

/** `group_size` of one scale a tensor. */
const TENSOR_WISE = -2;
const DEFAULT_HADAMARD_GROUP = 256;

/** Switches that can be read, or that say how weights were made or are used and not how they are stored. */
const supportedSwitches = new Set([
  'use_dynamic_quantization',
  'use_grad_ckpt',
  'use_hadamard',
  'use_quantized_matmul',
  'use_quantized_matmul_conv',
  'use_static_quantization',
  'use_stochastic_rounding',
  'use_svd',
]);

/**
 * The `quantization_config` of the model in `dir`: from `config.json`, else from `quantization_config.json` beside it; null where neither has one.
 * Throws `checkpoint_damaged` where both have one and name different types, `checkpoint_unsupported` for another method than SDNQ.
 */
export async function loadQuantizationConfig(dir: string): Promise<QuantizationConfig | null> {
  const configPath = join(dir, 'config.json');
  const besidePath = join(dir, 'quantization_config.json');
  const config = await readJsonFile(configPath);
  if (!isRecord(config)) throw damaged(configPath, 'it is no JSON object');
  const inside = config['quantization_config'];
  const ofConfig = inside === undefined || inside === null ? null : parseQuantizationConfig(inside, configPath);
  const ofBeside = (await exists(besidePath)) ? parseQuantizationConfig(await readJsonFile(besidePath), besidePath) : null;
  if (ofConfig !== null && ofBeside !== null && ofConfig.weightsDtype !== ofBeside.weightsDtype) {
    const types = `weights_dtype is ${quoteValue(ofConfig.weightsDtype)} in config.json and ${quoteValue(ofBeside.weightsDtype)} in quantization_config.json`;
    throw damaged(dir, `${types}; both must say the same`);
  }
  return ofConfig ?? ofBeside;
}

/** Throws `checkpoint_damaged` or, for another method than SDNQ, `checkpoint_unsupported`. */
export function parseQuantizationConfig(value: unknown, path: string): QuantizationConfig {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const wrong = parsed.error.issues.map(({ path: at, message }) => `${at.join('.') || 'all of it'}: ${message}`);
    throw damaged(path, `its quantization_config does not hold (${wrong.join('; ')})`);
  }
  const { quant_method: method, weights_dtype: weightsDtype, modules_dtype_dict: dtypes, modules_quant_config: overrides, ...switches } = parsed.data;
  if (method !== 'sdnq') throw unsupported(path, `its quantization method is ${quoteValue(method)}; "sdnq" is supported`);
  return {
    path,
    weightsDtype: weightsDtype.toLowerCase(),
    switches,
    dtypeRules: Object.entries(dtypes ?? {}).map(([dtype, patterns]) => ({ dtype: dtype.toLowerCase(), patterns: [patterns].flat() })),
    switchRules: Object.entries(overrides ?? {}).map(([pattern, own]) => ({ pattern, switches: own })),
  };
}

/** How the integers of a weight are stored. Signed types are symmetric; unsigned ones have zero points. */
export interface StoredType {
  bits: 4 | 5 | 6 | 7 | 8;
  signed: boolean;
}

/** The rotation that has to be applied to a layer's input, in groups of at most `largestGroup` values. */
export interface Rotation {
  largestGroup: number;
  /** Whether groups of a power of four are rotated by a Kronecker power of the 4 x 4 matrix, as sdnq does since 0.2.0. Null where the config does not say. */
  usesFourByFour: boolean | null;
}

export interface StoredWeight {
  type: StoredType;
  rotation: Rotation | null;
}

const SUPPORTED = 'int4 to int8 and uint4 to uint8';

/**
 * How one weight, `X.weight`, is stored. Throws `checkpoint_unsupported`, naming the tensor, for types and switches that cannot be read.
 * Source of the rules: https://github.com/Disty0/sdnq, `src/sdnq/utils.py`, `get_quant_kwargs` and `get_minimum_dtype`.
 */
export function storedWeightOf(config: QuantizationConfig, tensorName: string): StoredWeight {
  const own = config.switchRules.find(({ pattern }) => matches(tensorName, pattern))?.switches ?? {};
  const tensor = `tensor ${quoteValue(tensorName)}`;
  const switches = { ...config.switches, ...own };
  assertSwitches(switches, tensor, config.path);
  const general = typeof own['weights_dtype'] === 'string' ? own['weights_dtype'].toLowerCase() : config.weightsDtype;
  const dtype = applyDtypeRules(general, config, tensorName);
  const type = parseStoredType(dtype);
  if (type === null) throw unsupported(config.path, `${tensor} is quantized as ${quoteValue(dtype)}; ${SUPPORTED} are supported`);
  return { type, rotation: rotationOf(switches) };
}

/** Throws `checkpoint_unsupported` where the config alone shows that some weight cannot be read. */
export function assertSupportedQuantization(config: QuantizationConfig): void {
  const assertDtype = (dtype: unknown, where: string): void => {
    if (typeof dtype === 'string' && parseStoredType(dtype.toLowerCase()) === null)
      throw unsupported(config.path, `${where} has weights of the type ${quoteValue(dtype)}; ${SUPPORTED} are supported`);
  };
  assertSwitches(config.switches, 'the model', config.path);
  assertDtype(config.weightsDtype, 'the model');
  for (const { pattern, switches } of config.switchRules) {
    assertSwitches({ ...config.switches, ...switches }, `layer ${quoteValue(pattern)}`, config.path);
    assertDtype(switches['weights_dtype'], `layer ${quoteValue(pattern)}`);
  }
  for (const { dtype, patterns } of config.dtypeRules) {
    if (patterns.length > 0 && fewestBitsOf(dtype) === null) assertDtype(dtype, `layer ${quoteValue(patterns[0])}`);
  }
}

function parseStoredType(dtype: string): StoredType | null {
  const [, unsigned, bits] = /^(u)?int([4-8])$/.exec(dtype) ?? [];
  return bits === undefined ? null : { bits: Number(bits) as StoredType['bits'], signed: unsigned === undefined };
}

function rotationOf(switches: Readonly<Record<string, unknown>>): Rotation | null {
  if (switches['use_hadamard'] !== true) return null;
  const { sdnq_version: version, hadamard_group_size: group } = switches;
  const [, major, minor] = typeof version === 'string' ? (/^(\d+)\.(\d+)/.exec(version) ?? []) : [];
  const usesFourByFour = major === undefined ? null : Number(major) > 0 || Number(minor) >= 2;
  return { largestGroup: typeof group === 'number' && group > 0 ? group : DEFAULT_HADAMARD_GROUP, usesFourByFour };
}

function assertSwitches(switches: Readonly<Record<string, unknown>>, what: string, path: string): void {
  for (const [name, value] of Object.entries(switches)) {
    if (name.startsWith('use_') && value === true && !supportedSwitches.has(name))
      throw unsupported(path, `${what} is quantized with ${name}, which is not supported`);
  }
  for (const name of ['scale_dtype', 'zero_point_dtype']) {
    const value = switches[name] ?? 'none';
    if (value !== 'none') throw unsupported(path, `${what} has ${name} ${quoteValue(value)}; only float scales and zero points (null) are supported`);
  }
  if (switches['group_size'] === TENSOR_WISE)
    throw unsupported(path, `${what} has group_size ${TENSOR_WISE}, one scale for a whole tensor; rows and groups are supported`);
}

function applyDtypeRules(general: string, { dtypeRules }: QuantizationConfig, tensorName: string): string {
  for (const { dtype, patterns } of dtypeRules) {
    if (!patterns.some((pattern) => matches(tensorName, pattern))) continue;
    const fewest = fewestBitsOf(dtype);
    if (fewest === null) return dtype;
    if (bitsOf(general) < fewest.bits) return fewest.unsigned || fewest.bits <= 4 ? `uint${fewest.bits}` : `int${fewest.bits}`;
  }
  return general;
}

/** `minimum_6bit`, `uint5_bits`: a rule for the fewest bits; null for a rule that names a type. */
function fewestBitsOf(dtype: string): { bits: number; unsigned: boolean } | null {
  if (!dtype.startsWith('minimum') && !/bits?$/.test(dtype)) return null;
  const [, unsigned, bits] = /^(?:minimum)?[-_]?(?:(u)?int)?(\d+)[-_]?(?:bits?)?$/.exec(dtype) ?? [];
  return bits === undefined ? null : { bits: Number(bits), unsigned: unsigned !== undefined };
}

function bitsOf(dtype: string): number {
  return Number(/\d+/.exec(dtype)?.[0] ?? Number.POSITIVE_INFINITY);
}

/** Encoders are saved with and without the prefix `model.`, which patterns may lack. */
function matches(tensorName: string, pattern: string): boolean {
  return [tensorName, tensorName.replace(/^model\./, '')].some((name) => matchesName(name, pattern));
}

/** A pattern is a whole name, one part between dots, a beginning (with a leading dot), or a beginning with `*` for anything. */
function matchesName(name: string, pattern: string): boolean {
  if (pattern.startsWith('.')) return name.startsWith(pattern.slice(1));
  if (name === pattern || name.split('.').includes(pattern)) return true;
  const [first, ...rest] = pattern.split('*');
  if (first === undefined || rest.length === 0 || !name.startsWith(first)) return false;
  let from = first.length;
  for (const piece of rest) {
    const at = name.indexOf(piece, from);
    if (at < 0) return false;
    from = at + piece.length;
  }
  return true;
}

function damaged(path: string, what: string): AppError<'checkpoint_damaged'> {
  return new AppError('checkpoint_damaged', `${path}: ${what}.`, { path });
}

function unsupported(path: string, what: string): AppError<'checkpoint_unsupported'> {
  return new AppError('checkpoint_unsupported', `${path}: ${what}.`, { path });
}
