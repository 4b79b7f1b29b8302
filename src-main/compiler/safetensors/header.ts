import { isRecord } from '#main/lib/is-record.ts';
import { parseStrictJson } from '#main/lib/parse-strict-json.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { AppError } from '#shared/protocol/errors.ts';

/** Bits an element of each type of the format. Source: https://github.com/safetensors/safetensors, `safetensors/src/tensor.rs`, enum `Dtype`. */
const bitsOf = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

export type TensorDtype = keyof typeof bitsOf;

/** A tensor on disk. */
export interface StoredTensor {
  name: string;
  dtype: TensorDtype;
  shape: number[];
  /** Real path of the safetensors file, symbolic links resolved. */
  file: string;
  /** Of the first byte, from the start of the file. */
  offset: number;
  byteLength: number;
}

export interface SafetensorsHeader {
  metadata: ReadonlyMap<string, string>;
  /** By name, in the order of their bytes. */
  tensors: ReadonlyMap<string, StoredTensor>;
}

/** Where a header was found: `path` for messages, `file` for the tensors, the place and length of the data section in bytes. */
export interface HeaderPlace {
  path: string;
  file: string;
  dataOffset: number;
  dataLength: number;
}

const MAX_NAME_LENGTH = 512;

/**
 * Reads the JSON of a safetensors header and checks it against every rule of the format: known types, byte counts that fit the shapes,
 * tensors that cover the data section from its first to its last byte without gaps or overlaps.
 * Throws `checkpoint_damaged`, or `checkpoint_unsupported` for an unknown type.
 * Source: https://github.com/safetensors/safetensors#format
 */
export function parseHeader(bytes: Uint8Array, place: HeaderPlace): SafetensorsHeader {
  const entries = Object.entries(parseObject(bytes, place.path));
  const metadata = new Map<string, string>();
  const tensors: StoredTensor[] = [];
  for (const [name, entry] of entries) {
    if (name === '__metadata__') {
      for (const [key, text] of parseMetadata(entry, place.path)) metadata.set(key, text);
    } else {
      tensors.push(parseEntry(name, entry, place));
    }
  }
  tensors.sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  assertCovered(tensors, place);
  return { metadata, tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])) };
}

function parseObject(bytes: Uint8Array, path: string): Record<string, unknown> {
  if (bytes[0] !== 0x7b) throw damaged(path, `its header starts with byte ${bytes[0]} where "{" (123) must stand`);
  let value: unknown;
  try {
    value = parseStrictJson(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw damaged(path, `its header is no JSON object in UTF-8 (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  }
  if (!isRecord(value)) throw damaged(path, 'its header is no JSON object');
  return value;
}

function* parseMetadata(entry: unknown, path: string): Generator<[string, string]> {
  if (!isRecord(entry)) throw damaged(path, `"__metadata__" is ${quoteValue(entry)} where an object of strings must stand`);
  for (const [key, text] of Object.entries(entry)) {
    if (typeof text !== 'string') throw damaged(path, `"__metadata__" has ${quoteValue(text)} under ${quoteValue(key)} where a string must stand`);
    yield [key, text];
  }
}

function parseEntry(name: string, entry: unknown, { path, file, dataOffset, dataLength }: HeaderPlace): StoredTensor {
  const of = `tensor ${quoteValue(name)}`;
  if (name === '' || name.length > MAX_NAME_LENGTH || hasControlCharacter(name) || !name.isWellFormed())
    throw damaged(path, `${of} has a name that is empty, longer than ${MAX_NAME_LENGTH} characters or holds control characters`);
  if (!isRecord(entry)) throw damaged(path, `${of} is ${quoteValue(entry)} where an object with dtype, shape and data_offsets must stand`);
  const foreign = Object.keys(entry).find((key) => key !== 'dtype' && key !== 'shape' && key !== 'data_offsets');
  if (foreign !== undefined) throw damaged(path, `${of} has the field ${quoteValue(foreign)}; only dtype, shape and data_offsets are allowed`);

  const { dtype, shape, data_offsets: offsets } = entry as { dtype: unknown; shape: unknown; data_offsets: unknown };
  if (typeof dtype !== 'string') throw damaged(path, `${of} has dtype ${quoteValue(dtype)} where the name of a type must stand`);
  if (!isDtype(dtype)) {
    throw new AppError('checkpoint_unsupported', `${path}: ${of} has dtype ${quoteValue(dtype)}; the format knows ${Object.keys(bitsOf).join(', ')}.`, {
      path,
    });
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) throw damaged(path, `${of} has shape ${quoteValue(shape)} where a list of integers from 0 on must stand`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    throw damaged(path, `${of} has data_offsets ${quoteValue(offsets)} where two integers from 0 on must stand`);

  const [begin, end] = offsets as [number, number];
  const expected = byteLengthOf(dtype, shape);
  if (expected === null)
    throw damaged(path, `${of} has shape ${quoteValue(shape)} of ${dtype}, which is no whole number of bytes, or more than ${Number.MAX_SAFE_INTEGER} bits`);
  if (end < begin || end - begin !== expected)
    throw damaged(path, `${of} has data_offsets ${quoteValue(offsets)}, but shape ${quoteValue(shape)} of ${dtype} takes ${expected} bytes`);
  if (end > dataLength) {
    throw damaged(path, `${of} ends at byte ${end} of the data section, which has ${dataLength}; the download may be incomplete, so fetch the file again`);
  }
  return { name, dtype, shape: [...shape], file, offset: dataOffset + begin, byteLength: expected };
}

/** `tensors` in the order of their offsets. */
function assertCovered(tensors: StoredTensor[], { path, dataOffset, dataLength }: HeaderPlace): void {
  let covered = dataOffset;
  for (const tensor of tensors) {
    if (tensor.offset !== covered) {
      const how = tensor.offset < covered ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw damaged(
        path,
        `tensor ${quoteValue(tensor.name)} starts at data byte ${tensor.offset - dataOffset} and ${how}; it must start at ${covered - dataOffset}`,
      );
    }
    covered += tensor.byteLength;
  }
  if (covered !== dataOffset + dataLength)
    throw damaged(path, `its data section has ${dataLength} bytes, but its tensors cover ${covered - dataOffset}; both must be equal`);
}

/** Null where the count overflows or ends within a byte. */
function byteLengthOf(dtype: TensorDtype, shape: readonly number[]): number | null {
  let bits: number = bitsOf[dtype];
  for (const side of shape) {
    bits *= side;
    if (!Number.isSafeInteger(bits)) return null;
  }
  return bits % 8 === 0 ? bits / 8 : null;
}

function isDtype(text: string): text is TensorDtype {
  return Object.hasOwn(bitsOf, text);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function hasControlCharacter(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}

function damaged(path: string, what: string, cause?: unknown): AppError<'checkpoint_damaged'> {
  return new AppError('checkpoint_damaged', `${path}: ${what}.`, { path }, { cause });
}
