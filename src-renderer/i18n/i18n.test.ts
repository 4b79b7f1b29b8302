import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { errorTable } from '#shared/protocol/errors.ts';
import { en } from './en.ts';
import { zh } from './zh.ts';

const source = join(import.meta.dirname, '..');
const isPlural = (key: string) => /_(one|other)$/.test(key);

/** `a.b.c` → text, for every text of a language. */
function flatten(texts: object, prefix = ''): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).flatMap(([key, value]) => (typeof value === 'string' ? [[prefix + key, value]] : Object.entries(flatten(value, `${prefix}${key}.`)))),
  );
}

const english = flatten(en);
const chinese = flatten(zh);
const placeholders = (text: string | undefined) => [...(text ?? '').matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1]).sort();

test('both languages have the same keys', () => {
  expect(Object.keys(chinese).sort()).toEqual(Object.keys(english).sort());
});

test('no text is empty, and both languages have the same placeholders', () => {
  const different = Object.keys(english).filter((key) => !isPlural(key) && String(placeholders(english[key])) !== String(placeholders(chinese[key])));
  expect(different).toEqual([]);
  expect(Object.values({ ...english, ...chinese })).not.toContain('');
});

test('Chinese texts are Chinese', () => {
  const mayBeLatin = new Set(['app.name', 'edit.loras']);
  const untranslated = Object.entries(chinese).filter(([key, text]) => !mayBeLatin.has(key) && !/\p{Script=Han}/u.test(text));
  expect(untranslated).toEqual([]);
});

/** Keys that the code builds from values; everything below them counts as used. */
const builtKeys =
  /^(error|problem|phase|status|announce|compare|shortcut|settingsPart|example|idea|demo|nav|engineState|modelState|modelAction|deviceState|cudaState|memoryPlan|model\.quality|notice|connection|origin|update\.off|updateFailure|verify\.pixels|edit\.tool|edit\.side|model\.(upscaler|lora|controlnet))(\.|$)/;

// the compiler checks that every used key exists
test('every key is used', () => {
  const code = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => /(?<!\.test)\.tsx?$/.test(file) && !/i18n.(en|zh)\.ts$/.test(file))
    .map((file) => readFileSync(join(source, file), 'utf8'))
    .join('\n');
  const used = new Set([...code.matchAll(/'([a-z]\w*\.\w+)'/gi)].map((match) => match[1]));
  const bare = (key: string) => key.replace(/_(one|other)$/, '');
  const unused = Object.keys(english).filter((key) => !builtKeys.test(key) && !used.has(bare(key)));
  expect(unused).toEqual([]);
});

test('error texts are for existing codes', () => {
  const ofTheWindow = ['clipboard', 'desktop', 'unreadable', 'no_recipe', 'other'];
  const unknown = Object.keys(en.error).filter((code) => !(code in errorTable) && !ofTheWindow.includes(code));
  expect(unknown).toEqual([]);
});
