import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { MAX_PROMPT_TOKENS } from '#main/lib/compiled.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { readJsonFile } from '#main/lib/read-json-file.ts';
import { readGoldens } from '../../tests/support/read-goldens.ts';
import { needsSharedFolder, sharedCheckpoints, sharedPath } from '../../tests/support/shared-folder.ts';
import { loadTokenizer } from './tokenizer.ts';

const bundled = join(resourcesDir, 'models/storybook-uint4/tokenizer');

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tokenizer-'));
  await cp(bundled, dir, { recursive: true });
});
afterEach(() => rm(dir, { recursive: true }));

// written by tests/fixtures/tokenizer/make.py with transformers
const hardTexts = z
  .array(z.object({ text: z.string(), ids: z.array(z.number()) }))
  .parse(await readJsonFile(join(import.meta.dirname, '../../tests/fixtures/tokenizer/hard-texts.json')));

test('the ids equal the ids of transformers, for all goldens', async (context) => {
  needsSharedFolder(context);
  for (const checkpoint of sharedCheckpoints) {
    const tokenizer = await loadTokenizer(sharedPath(checkpoint, 'tokenizer'));
    const { integers, metadata } = await readGoldens(sharedPath(`${checkpoint}.expected.safetensors`));
    const prompts = z.array(z.string()).parse(JSON.parse(metadata.get('prompts') ?? ''));
    expect(prompts.length).toBeGreaterThan(0);
    for (const [i, prompt] of prompts.entries()) expect(tokenizer.encodePrompt(prompt).ids).toEqual(integers.get(`prompt.${i}.input_ids`));
  }
});

const tokenizer = await loadTokenizer(bundled);

test.each(hardTexts)('hard text number %# has the ids that transformers gives it', ({ text, ids }) => {
  expect(tokenizer.encodePrompt(text)).toEqual({ ids, truncated: false, total: ids.length });
});

test('a long prompt is cut to 512 tokens, and the result says so', () => {
  const short = tokenizer.encodePrompt('a cat and a dog and '.repeat(20));
  const long = tokenizer.encodePrompt('a cat and a dog and '.repeat(400));
  expect(short.truncated).toBe(false);
  expect(long.truncated).toBe(true);
  expect(long.ids).toHaveLength(MAX_PROMPT_TOKENS);
  expect(long.total).toBeGreaterThan(2000);
  expect(long.ids.slice(0, 50)).toEqual(short.ids.slice(0, 50));
});

test.each([
  ['words', 'a red fox and a dog, 12 birds; '],
  ['Chinese', '一只戴着墨镜的猫，数字艺术。'],
  ['emoji of two units', '🦊🌲'],
  ['accents that are normalized', 'cafe\u0301 e\u0301te\u0301 '],
  ['an added token', 'cat,<|im_end|> dog '],
])('the place of the cut is returned: %s', (_what, text) => {
  const prompt = text.repeat(200);
  const { count, limit, cutAt } = tokenizer.measurePrompt(prompt);
  expect([count, limit]).toEqual([tokenizer.encodePrompt(prompt).total, MAX_PROMPT_TOKENS]);
  const idsOfFirst = (units: number) => tokenizer.encodePrompt(prompt.slice(0, units)).ids;
  const kept = tokenizer.encodePrompt(prompt).ids;
  // a character that the cut goes through has some of its tokens kept
  const characterTokens = kept.findIndex((id, at) => id !== idsOfFirst(cutAt ?? 0)[at]);
  expect(characterTokens === -1 || characterTokens >= MAX_PROMPT_TOKENS - 3).toBe(true);
  const before = (cutAt ?? 0) - [...prompt.slice(0, cutAt ?? 0)].slice(-1).join('').length;
  expect(idsOfFirst(before)).not.toEqual(kept);
});

test('a prompt that fits is not cut, nor is one of which only the template behind it is', () => {
  expect(tokenizer.measurePrompt('')).toEqual({ count: tokenizer.encodePrompt('').total, limit: MAX_PROMPT_TOKENS, cutAt: null });
  const overhead = tokenizer.encodePrompt('').total;
  // each of these digits is a token
  const { count, cutAt } = tokenizer.measurePrompt('7'.repeat(MAX_PROMPT_TOKENS - overhead + 2));
  expect([count, cutAt]).toEqual([MAX_PROMPT_TOKENS + 2, null]);
});

test('a lone surrogate is the replacement character', () => {
  expect(tokenizer.encodePrompt('a \ud83e cat').ids).toEqual(tokenizer.encodePrompt('a \ufffd cat').ids);
});

// what the template of Qwen3 is made of, which says the same of one message as the bundled one does
test('a template may use namespaces, reversed loops, tests and string methods', async () => {
  const template = `{%- if tools %}{{- 'tools' }}{%- endif %}
{%- set ns = namespace(open=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.open and message.role == "user" and message.content is string and not(message.content.startswith('<t>') and message.content.endswith('</t>')) %}
        {%- set ns.open = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}{%- set content = message.content %}{%- else %}{%- set content = '' %}{%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}`;
  await writeFile(join(dir, 'chat_template.jinja'), template);
  expect((await loadTokenizer(dir)).encodePrompt('a cat')).toEqual(tokenizer.encodePrompt('a cat'));
});

test('a chat template in tokenizer_config.json counts where it stands', async () => {
  await rm(join(dir, 'chat_template.jinja'));
  await expect(loadTokenizer(dir)).rejects.toMatchObject({
    code: 'checkpoint_missing',
    message: expect.stringContaining('tokenizer_config.json has no chat_template'),
  });
  await writeFile(join(dir, 'tokenizer_config.json'), JSON.stringify({ chat_template: '{{ messages[0].content }}' }));
  const ids = (await loadTokenizer(dir)).encodePrompt('a cat').ids;
  expect(ids.length).toBeGreaterThan(0);
  expect(tokenizer.encodePrompt('a cat').ids.slice(3, 3 + ids.length)).toEqual(ids);
});

test.each([
  ['a missing tokenizer.json', 'tokenizer.json', null, 'checkpoint_missing'],
  ['a missing tokenizer_config.json', 'tokenizer_config.json', null, 'checkpoint_missing'],
  ['a cut tokenizer.json', 'tokenizer.json', '{"model":', 'checkpoint_damaged'],
  ['a list as tokenizer.json', 'tokenizer.json', '[]', 'checkpoint_damaged'],
  ['a tokenizer without a model', 'tokenizer.json', '{"added_tokens":[]}', 'checkpoint_damaged'],
  ['an unknown model', 'tokenizer.json', '{"added_tokens":[],"model":{"type":"Riddle"}}', 'checkpoint_damaged'],
  ['a template that does not end', 'chat_template.jinja', '{% for message in messages %}', 'checkpoint_damaged'],
  ['a template that calls what is not there', 'chat_template.jinja', '{{ run() }}', 'checkpoint_damaged'],
])('%s is refused', async (_what, file, content, code) => {
  if (content === null) await rm(join(dir, file));
  else await writeFile(join(dir, file), content);
  await expect(loadTokenizer(dir)).rejects.toMatchObject({ code, message: expect.stringContaining(dir) });
});
