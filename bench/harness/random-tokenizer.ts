import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/** Letters, merges and added tokens of Qwen2's tokenizer. */
const TOKENS = 151_643;
const LONGEST_TOKEN = 12;

const tokenizerSchema = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.number() })),
  model: z.looseObject({ vocab: z.record(z.string(), z.number()), merges: z.array(z.tuple([z.string(), z.string()])) }),
});

/** The tokenizer of `from`, a folder, grown to Qwen2's size with random unused merges. As `DIR/tokenizer`. */
export async function writeRandomTokenizer(dir: string, from: string): Promise<void> {
  const folder = join(dir, 'tokenizer');
  await mkdir(folder, { recursive: true });
  for (const file of ['tokenizer_config.json', 'chat_template.jinja']) await copyFile(join(from, file), join(folder, file));
  const tokenizer = tokenizerSchema.parse(JSON.parse(await readFile(join(from, 'tokenizer.json'), 'utf8')));
  const { vocab, merges } = tokenizer.model;
  const tokens = Object.keys(vocab);
  const random = randomBelow(1);
  while (tokens.length < TOKENS) {
    const [left = '', right = ''] = [tokens[random(tokens.length)], tokens[random(tokens.length)]];
    const merged = left + right;
    if (merged.length > LONGEST_TOKEN || merged in vocab) continue;
    vocab[merged] = tokens.length;
    tokens.push(merged);
    merges.push([left, right]);
  }
  for (const [i, token] of tokenizer.added_tokens.entries()) token.id = TOKENS + i;
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
}

/** Whole numbers from 0 to below `limit`, determined by the seed: a linear congruential generator with the constants of Numerical Recipes. */
function randomBelow(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}
