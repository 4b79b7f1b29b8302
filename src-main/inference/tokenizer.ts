import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoCode } from '#main/lib/errno-code.ts';
import { isRecord } from '#main/lib/is-record.ts';
import { readJsonFile } from '#main/lib/read-json-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { createTokenizer, type Tokenizer } from './create-tokenizer.ts';

export type { Tokenizer } from './create-tokenizer.ts';

/**
 * The tokenizer of a checkpoint's `tokenizer` folder. Throws `checkpoint_missing` where a file cannot be read,
 * `checkpoint_damaged` where its content is no tokenizer or no chat template.
 */
export async function loadTokenizer(dir: string): Promise<Tokenizer> {
  const tokenizer = await readRecord(join(dir, 'tokenizer.json'));
  const config = await readRecord(join(dir, 'tokenizer_config.json'));
  const chatTemplate = await loadChatTemplate(dir, config);
  try {
    const loaded = createTokenizer({ tokenizer, config, chatTemplate });
    // the libraries find many faults only when they are used
    loaded.encodePrompt('a cat');
    return loaded;
  } catch (cause) {
    throw new AppError('checkpoint_damaged', `${dir} holds no tokenizer that can be used (${errnoCode(cause)}).`, { path: dir }, { cause });
  }
}

async function readRecord(path: string): Promise<Record<string, unknown>> {
  const value = await readJsonFile(path);
  if (isRecord(value)) return value;
  throw new AppError('checkpoint_damaged', `${path} is no JSON object.`, { path });
}

async function loadChatTemplate(dir: string, config: Record<string, unknown>): Promise<string> {
  const inConfig = config['chat_template'];
  if (typeof inConfig === 'string') return inConfig;
  const path = join(dir, 'chat_template.jinja');
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new AppError(
      'checkpoint_missing',
      `${path} cannot be read (${errnoCode(cause)}), and tokenizer_config.json has no chat_template.`,
      { path },
      { cause },
    );
  }
}
