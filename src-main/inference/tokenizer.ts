import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoCode } from '#main/lib/errno-code.ts';
import { isRecord } from '#main/lib/is-record.ts';
import { readJsonFile } from '#main/lib/read-json-file.ts';
import type { Architecture } from '#shared/domain/architecture.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { createTokenizer, promptStyles, type Tokenizer } from './create-tokenizer.ts';
import { loadSlowTokenizer } from './slow-tokenizer.ts';

export type { Tokenizer } from './create-tokenizer.ts';

/**
 * The tokenizer of a checkpoint's `tokenizer` folder, from `tokenizer.json` or from the older files without it. Throws `checkpoint_missing` where a file
 * cannot be read, `checkpoint_damaged` where its content is not a tokenizer or a chat template, `checkpoint_unsupported` for another kind of tokenizer.
 */
export async function loadTokenizer(dir: string, architecture: Architecture = 'z-image'): Promise<Tokenizer> {
  const config = await readRecord(join(dir, 'tokenizer_config.json'));
  const fast = join(dir, 'tokenizer.json');
  const isSlow = !existsSync(fast) && existsSync(join(dir, 'vocab.json'));
  const tokenizer = isSlow ? await loadSlowTokenizer(dir, config) : await readRecord(fast);
  const chatTemplate = await loadChatTemplate(dir, config);
  const style = promptStyles[architecture];
  try {
    const loaded = createTokenizer({ tokenizer, config, chatTemplate }, style);
    // the libraries find many faults only when they are used
    loaded.encodePrompt('a cat');
    if (style.isPadded) loaded.padId();
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
