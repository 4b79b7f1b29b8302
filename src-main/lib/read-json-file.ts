import { readFile } from 'node:fs/promises';
import { AppError } from '#shared/protocol/errors.ts';
import { checkpointReadError } from './checkpoint-read-error.ts';
import { errnoCode } from './errno-code.ts';
import { parseStrictJson } from './parse-strict-json.ts';

/** A JSON file of a checkpoint: UTF-8, no duplicate keys. Throws `checkpoint_missing`, `checkpoint_damaged` or `too_many_open_files`. */
export async function readJsonFile(path: string): Promise<unknown> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw checkpointReadError(cause, path, 'Check that its folder is complete.');
  }
  try {
    return parseStrictJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new AppError('checkpoint_damaged', `${path} is not valid JSON in UTF-8 (${errnoCode(cause)}).`, { path }, { cause });
  }
}
