import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errnoCode } from '#main/lib/errno-code.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { readJsonFile } from '#main/lib/read-json-file.ts';
import { AppError } from '#shared/protocol/errors.ts';

/** How Qwen2's tokenizer splits a text before merging. Source: transformers 5, `models/qwen2/tokenization_qwen2.py`. */
const SPLIT = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

const id = z.number().int().nonnegative();
const vocabularySchema = z.record(z.string(), id);
const decoderSchema = z.record(
  z.string().regex(/^\d+$/),
  z.looseObject({
    content: z.string().min(1),
    lstrip: z.boolean().default(false),
    rstrip: z.boolean().default(false),
    normalized: z.boolean().default(false),
    single_word: z.boolean().default(false),
    special: z.boolean().default(false),
  }),
);
const qwenClasses: readonly unknown[] = ['Qwen2Tokenizer', 'Qwen2TokenizerFast', undefined];

/**
 * What `tokenizer.json` would say, from the files that transformers 4 writes for its slow Qwen2Tokenizer: `vocab.json`, `merges.txt` and the added tokens in
 * `tokenizer_config.json` (`config`) or `added_tokens.json`. Throws `checkpoint_missing`, `checkpoint_damaged`, or `checkpoint_unsupported` for another class.
 */
export async function loadSlowTokenizer(dir: string, config: Record<string, unknown>): Promise<object> {
  const kind = config['tokenizer_class'];
  if (!qwenClasses.includes(kind)) {
    const path = join(dir, 'tokenizer_config.json');
    const found = `${dir} has no tokenizer.json, and its tokenizer_class is ${quoteValue(kind)}`;
    throw new AppError('checkpoint_unsupported', `${found}; without that file only "Qwen2Tokenizer" can be read.`, { path });
  }
  const vocabulary = await parsedFile(dir, 'vocab.json', vocabularySchema);
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: await addedTokens(dir, config),
    normalizer: { type: 'NFC' },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: SPLIT }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: vocabulary,
      merges: await loadMerges(join(dir, 'merges.txt'), vocabulary),
    },
  };
}

async function addedTokens(dir: string, config: Record<string, unknown>): Promise<object[]> {
  const decoder = config['added_tokens_decoder'];
  if (decoder !== undefined) {
    const tokens = parse(decoder, decoderSchema, join(dir, 'tokenizer_config.json'));
    return Object.entries(tokens).map(([tokenId, token]) => ({ ...token, id: Number(tokenId) }));
  }
  const ids = await parsedFile(dir, 'added_tokens.json', vocabularySchema);
  const flags = { lstrip: false, rstrip: false, normalized: false, single_word: false, special: false };
  return Object.entries(ids).map(([content, tokenId]) => ({ content, id: tokenId, ...flags }));
}

/** One pair of tokens a line, in the order of their rank, after a line with the format's version. A token may start with `#`. */
async function loadMerges(path: string, vocabulary: Readonly<Record<string, number>>): Promise<[string, string][]> {
  const lines = (await readText(path)).split(/\r?\n/);
  const merges: [string, string][] = [];
  for (const [at, line] of lines.entries()) {
    if (line === '' || (at === 0 && line.startsWith('#version:'))) continue;
    const [first, second, ...more] = line.split(' ');
    if (!first || !second || more.length > 0 || !Object.hasOwn(vocabulary, first + second)) {
      const rule = 'a line must hold two tokens that vocab.json has joined';
      throw new AppError('checkpoint_damaged', `${path}: line ${at + 1} is ${quoteValue(line)}; ${rule}.`, { path });
    }
    merges.push([first, second]);
  }
  return merges;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const needed = 'a tokenizer is tokenizer.json, or vocab.json with merges.txt';
    throw new AppError('checkpoint_missing', `${path} cannot be read (${errnoCode(cause)}); ${needed}.`, { path }, { cause });
  }
}

async function parsedFile<T>(dir: string, name: string, schema: z.ZodType<T>): Promise<T> {
  const path = join(dir, name);
  return parse(await readJsonFile(path), schema, path);
}

function parse<T>(value: unknown, schema: z.ZodType<T>, path: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new AppError('checkpoint_damaged', `${path}: ${issue?.path.join('.') || 'its content'}: ${issue?.message}.`, { path }, { cause: parsed.error });
}
