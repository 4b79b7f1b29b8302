import { existsSync, statSync } from 'node:fs';
import { copyFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { errnoCode } from './errno-code.ts';
import { isRecord } from './is-record.ts';
import { makeFolder } from './make-folder.ts';
import { readRegularFile } from './read-regular-file.ts';
import { diskError, replaceFile } from './write-file.ts';

/** Pino's logger fits. */
export interface JsonFileLog {
  warn(fields: Record<string, unknown>, text: string): void;
}

export interface JsonFile<Value> {
  /** The current content. Only `change` may edit it. */
  readonly value: Readonly<Value>;
  /**
   * Lets `edit` change a copy of the content and writes it, one change after the other. Resolves when it is on the disk; rejects with what `edit` throws
   * or with `disk_full`, `folder_not_writable` or `disk_failed`, and `value` is then what it was.
   */
  change(edit: (draft: Value) => void): Promise<void>;
}

export interface JsonFileOptions<Fields extends z.ZodRawShape> {
  /** The schema of each field. */
  fields: Fields;
  /** The value of each field that is missing or does not fit its schema. */
  defaults: z.output<z.ZodObject<Fields>>;
  log: JsonFileLog;
  /** Permissions of a new file. */
  mode?: number;
}

interface Content<Value> {
  value: Value;
  /** The object in the file, with everything that is not understood. */
  json: Record<string, unknown>;
  /** Fields whose text does not fit their schema; `*` for a file that could not be read at all. */
  bad: Set<string>;
  /** Size and time of the file that was read; null where it could not be read, so that it is read again before it is replaced. */
  stamp: string | null;
}

/**
 * Opens a JSON file of ours. People may edit it, a newer version may have written it, and it may be damaged. It holds one object:
 * - A byte order mark is accepted, and fields that are not known are kept.
 * - A field that does not fit its schema has its default, and keeps its text in the file until that field is changed.
 * - Elements of an array or a record that do not fit are left out of `value` and kept in the file.
 * - A file that cannot be read counts as empty.
 * - Before text that was not understood is replaced, the file is copied to `PATH.unreadable`.
 * - A file that was edited by hand is read again before it is changed.
 */
export function openJsonFile<Fields extends z.ZodRawShape>(path: string, options: JsonFileOptions<Fields>): JsonFile<z.output<z.ZodObject<Fields>>> {
  type Value = z.output<z.ZodObject<Fields>>;
  const { fields, mode } = options;
  let content = load(path, options);
  let lastChange: Promise<unknown> = Promise.resolve();

  async function apply(edit: (draft: Value) => void): Promise<void> {
    const current = content.stamp === stampOf(path) ? content : load(path, options);
    const value = structuredClone(current.value);
    edit(value);
    const before: Record<string, unknown> = current.value;
    const changed = Object.entries(value).filter(([name, after]) => !isDeepStrictEqual(after, before[name]));
    const json = { ...current.json };
    for (const [name, after] of changed) json[name] = withKept(fields[name], after, json[name]);
    if (current.bad.has('*') || changed.some(([name]) => current.bad.has(name))) await keepCopy(path);
    try {
      makeFolder(dirname(path));
    } catch (cause) {
      throw await diskError(cause, path, 0);
    }
    await replaceFile(path, Buffer.from(`${JSON.stringify(json, null, 2)}\n`), mode);
    const bad = new Set([...current.bad].filter((name) => name !== '*' && !changed.some(([other]) => other === name)));
    content = { value, json, bad, stamp: stampOf(path) };
  }

  return {
    get value() {
      return content.value;
    },
    change(edit) {
      const change = lastChange.then(() => apply(edit));
      lastChange = change.catch(() => {}); // reported to its own caller; the next change is independent
      return change;
    },
  };
}

function load<Fields extends z.ZodRawShape>(path: string, { fields, defaults, log }: JsonFileOptions<Fields>): Content<z.output<z.ZodObject<Fields>>> {
  const stamp = stampOf(path);
  let json: unknown;
  try {
    json = parseJson(readRegularFile(path));
    if (!isRecord(json)) throw new SyntaxError('the file must hold one JSON object');
  } catch (cause) {
    const isMissing = errnoCode(cause) === 'ENOENT';
    if (!isMissing)
      log.warn(
        { path, cause: errnoCode(cause) },
        `${path} cannot be read; defaults are used, and the file is kept as ${path}.unreadable before it is replaced`,
      );
    return { value: structuredClone(defaults), json: {}, bad: new Set(isMissing ? [] : ['*']), stamp: isMissing ? stamp : null };
  }
  const value: Record<string, unknown> = structuredClone(defaults);
  const bad = new Set<string>();
  for (const [name, schema] of Object.entries(fields)) {
    if (json[name] === undefined) continue;
    const { fitting, others } = splitByFit(schema, json[name]);
    const parsed = z.safeParse(schema, fitting);
    if (parsed.success) value[name] = parsed.data;
    else bad.add(name);
    if (!parsed.success || sizeOf(others) > 0) {
      log.warn({ path, field: name }, `${path}: part of the field ${name} is not understood; it is ignored and kept in the file`);
    }
  }
  return { value: value as z.output<z.ZodObject<Fields>>, json, bad, stamp };
}

function parseJson(bytes: Buffer): unknown {
  const isUtf16 = bytes[0] === 0xff && bytes[1] === 0xfe; // what Windows' editors call "Unicode"
  return JSON.parse(new TextDecoder(isUtf16 ? 'utf-16le' : 'utf-8', { fatal: true }).decode(bytes));
}

/** What `raw` holds for `schema`, and the elements of an array or a record that do not fit. */
function splitByFit(schema: z.core.$ZodType | undefined, raw: unknown): { fitting: unknown; others: unknown } {
  if (schema instanceof z.ZodArray && Array.isArray(raw)) {
    const fits = raw.map((element: unknown) => z.safeParse(schema.element, element).success);
    return { fitting: raw.filter((_, i) => fits[i]), others: raw.filter((_, i) => !fits[i]) };
  }
  if (schema instanceof z.ZodRecord && isRecord(raw)) {
    const entries = Object.entries(raw);
    const fits = entries.map(([key, element]) => z.safeParse(schema, { [key]: element }).success);
    return { fitting: Object.fromEntries(entries.filter((_, i) => fits[i])), others: Object.fromEntries(entries.filter((_, i) => !fits[i])) };
  }
  return { fitting: raw, others: null };
}

function sizeOf(elements: unknown): number {
  return Array.isArray(elements) ? elements.length : isRecord(elements) ? Object.keys(elements).length : 0;
}

/** The new value of a field, with the elements of the old text that were not understood. */
function withKept(schema: z.core.$ZodType | undefined, value: unknown, oldRaw: unknown): unknown {
  const { others } = splitByFit(schema, oldRaw);
  if (Array.isArray(value) && Array.isArray(others)) return [...value, ...others];
  return isRecord(value) && isRecord(others) ? { ...others, ...value } : value;
}

async function keepCopy(path: string): Promise<void> {
  let copy = `${path}.unreadable`;
  for (let n = 2; existsSync(copy); n++) copy = `${path}.unreadable-${n}`;
  // what may not be read, or is not a file, can only be moved
  if (!statSync(path).isFile()) return rename(path, copy);
  await copyFile(path, copy).catch(() => rename(path, copy));
}

function stampOf(path: string): string | null {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? null : `${found.ino}:${found.size}:${found.mtimeNs}`;
}
