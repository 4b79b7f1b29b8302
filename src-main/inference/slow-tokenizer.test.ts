import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { resourcesDir } from '#main/lib/program-files.ts';
import { readJsonFile } from '#main/lib/read-json-file.ts';
import { needsSharedFolder, sharedPath } from '../../tests/support/shared-folder.ts';
import { loadTokenizer } from './tokenizer.ts';

const bundled = join(resourcesDir, 'models/storybook-uint4/tokenizer');
const texts = z
  .array(z.object({ text: z.string(), ids: z.array(z.number()) }))
  .parse(await readJsonFile(join(import.meta.dirname, '../../tests/fixtures/tokenizer/hard-texts.json')));

const fastSchema = z.object({
  model: z.object({ vocab: z.record(z.string(), z.number()), merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])) }),
  added_tokens: z.array(z.looseObject({ id: z.number(), content: z.string() })),
});

/** The bundled tokenizer in the files of transformers 4. */
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'slow-tokenizer-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  await cp(bundled, dir, { recursive: true });
  const { model, added_tokens: added } = fastSchema.parse(await readJsonFile(join(dir, 'tokenizer.json')));
  await rm(join(dir, 'tokenizer.json'));
  const merges = model.merges.map((pair) => (typeof pair === 'string' ? pair : pair.join(' ')));
  await writeFile(join(dir, 'vocab.json'), JSON.stringify(model.vocab));
  await writeFile(join(dir, 'merges.txt'), `#version: 0.2\n${merges.join('\n')}\n`);
  await changeConfig((config) => {
    config['tokenizer_class'] = 'Qwen2Tokenizer';
    config['added_tokens_decoder'] = Object.fromEntries(added.map(({ id, ...token }) => [id, token]));
  });
});

async function changeConfig(change: (config: Record<string, unknown>) => void): Promise<void> {
  const path = join(dir, 'tokenizer_config.json');
  const config: Record<string, unknown> = JSON.parse(await readFile(path, 'utf8'));
  change(config);
  await writeFile(path, JSON.stringify(config));
}

async function expectSameIds(tokenizerDir: string): Promise<void> {
  const tokenizer = await loadTokenizer(tokenizerDir);
  for (const { text, ids } of texts) expect(tokenizer.encodePrompt(text).ids, text).toEqual(ids);
}

test('the older files give the ids of tokenizer.json on hard texts', () => expectSameIds(dir));

test('so do Windows line ends in merges.txt, and added tokens in a file of their own', async () => {
  await writeFile(join(dir, 'merges.txt'), (await readFile(join(dir, 'merges.txt'), 'utf8')).replaceAll('\n', '\r\n'));
  let ids: Record<string, number> = {};
  await changeConfig((config) => {
    const added = z.record(z.string(), z.object({ content: z.string() })).parse(config['added_tokens_decoder']);
    ids = Object.fromEntries(Object.entries(added).map(([id, { content }]) => [content, Number(id)]));
    config['added_tokens_decoder'] = undefined;
  });
  await writeFile(join(dir, 'added_tokens.json'), JSON.stringify(ids));
  await expectSameIds(dir);
});

test('a folder as transformers 4 wrote it gives the same ids', async (context) => {
  needsSharedFolder(context);
  await expectSameIds(sharedPath('goldens/slow-tokenizer/tokenizer'));
});

test.each<[string, () => Promise<void>, string, RegExp]>([
  ['no merges.txt', () => rm(join(dir, 'merges.txt')), 'checkpoint_missing', /merges\.txt cannot be read \(ENOENT\)/],
  ['no vocab.json', () => rm(join(dir, 'vocab.json')), 'checkpoint_missing', /tokenizer\.json cannot be read/],
  ['a line of three tokens', () => writeFile(join(dir, 'merges.txt'), '#version: 0.2\na b c\n'), 'checkpoint_damaged', /merges\.txt: line 2 is "a b c"/],
  ['a merge that the vocabulary lacks', () => writeFile(join(dir, 'merges.txt'), 'zq qz\n'), 'checkpoint_damaged', /line 1 is "zq qz"/],
  ['an id that is not a number', () => writeFile(join(dir, 'vocab.json'), '{"a":"1"}'), 'checkpoint_damaged', /vocab\.json: a:/],
  [
    'another tokenizer',
    () => changeConfig((config) => Object.assign(config, { tokenizer_class: 'CLIPTokenizer' })),
    'checkpoint_unsupported',
    /"CLIPTokenizer"/,
  ],
])('%s is refused by name', async (_, damage, code, sentence) => {
  await damage();
  await expect(loadTokenizer(dir)).rejects.toMatchObject({ code, message: expect.stringMatching(sentence) });
});
