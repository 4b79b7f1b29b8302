import { join } from 'node:path';
import type { z } from 'zod';
import { isRecord } from '#main/lib/is-record.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { readJsonFile } from '#main/lib/read-json-file.ts';
import { AppError } from '#shared/protocol/errors.ts';

export interface ParsedConfig<T> {
  path: string;
  value: T;
  /** An error that says what in this config is not supported. */
  refuse(reason: string): AppError<'checkpoint_unsupported'>;
}

/** Reads a JSON config of a checkpoint. A file that is no such config is `checkpoint_unsupported`, with the field at fault and the value met. */
export async function parseConfig<S extends z.ZodType>(dir: string, name: string, schema: S): Promise<ParsedConfig<z.infer<S>>> {
  const path = join(dir, name);
  const refuse = (reason: string): AppError<'checkpoint_unsupported'> => new AppError('checkpoint_unsupported', `${path}: ${reason}.`, { path });
  const config = await readJsonFile(path);
  const parsed = schema.safeParse(config);
  if (parsed.success) return { path, value: parsed.data, refuse };

  const kind = isRecord(config) ? (config['_class_name'] ?? config['architectures']) : undefined;
  const issue = parsed.error.issues[0];
  const field = issue?.path.join('.') ?? '';
  const met = quoteValue(issue?.path.reduce<unknown>((at, key) => (isRecord(at) || Array.isArray(at) ? Reflect.get(at, key) : undefined), config));
  throw refuse(`${field} is ${met}: ${issue?.message ?? 'not as expected'}${kind === undefined ? '' : ` (this is a config of ${quoteValue(kind)})`}`);
}
