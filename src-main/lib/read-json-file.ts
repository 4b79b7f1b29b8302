import { readFile } from 'node:fs/promises';
import { AppError } from '#shared/protocol/errors.ts';
import { errnoCode } from './errno-code.ts';
import { parseStrictJson } from './parse-strict-json.ts';

/** A JSON file of a checkpoint: UTF-8, no key twice. Throws `checkpoint_missing` where it cannot be read, `checkpoint_damaged` where it is no such JSON. */
export async function readJsonFile(path: string): Promise<unknown> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new AppError('checkpoint_missing', `${path} cannot be read (${errnoCode(cause)}).`, { path }, { cause });
  }
  try {
    return parseStrictJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new AppError('checkpoint_damaged', `${path} is no JSON in UTF-8 (${errnoCode(cause)}).`, { path }, { cause });
  }
}
