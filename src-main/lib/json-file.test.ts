import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { openJsonFile } from './json-file.ts';

const fields = {
  days: z.number().int().min(1),
  theme: z.enum(['dark', 'light']),
  models: z.array(z.object({ name: z.string() })),
  chosen: z.record(z.string(), z.string()),
};
const defaults: z.infer<z.ZodObject<typeof fields>> = { days: 7, theme: 'light', models: [], chosen: {} };

let folder: string;
let path: string;
let warnings: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'json-'));
  path = join(folder, 'settings.json');
  warnings = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const open = () => openJsonFile(path, { fields, defaults, log: { warn: (_, text) => warnings.push(text) } });
const stored = (): unknown => JSON.parse(readFileSync(path, 'utf8'));

test('a missing file has the defaults and is written by the first change', async () => {
  const file = open();
  expect(file.value).toEqual(defaults);
  await file.change((draft) => {
    draft.days = 3;
  });
  expect([file.value.days, stored(), warnings]).toEqual([3, { days: 3 }, []]);
});

test('a byte order mark is accepted, in UTF-8 and in UTF-16', () => {
  writeFileSync(path, '\ufeff{"days":3}');
  expect(open().value.days).toBe(3);
  writeFileSync(path, Buffer.from('\ufeff{"days":4}', 'utf16le'));
  expect([open().value.days, warnings]).toEqual([4, []]);
});

test('one value of another version falls back alone, and it and unknown fields stay in the file', async () => {
  writeFileSync(path, '{"days":3,"theme":"sepia","later":{"a":1}}');
  const file = open();
  expect(file.value).toMatchObject({ days: 3, theme: 'light' });
  expect(warnings).toHaveLength(1);
  await file.change((draft) => {
    draft.days = 5;
  });
  expect(stored()).toEqual({ days: 5, theme: 'sepia', later: { a: 1 } });
  expect(readdirSync(folder)).toEqual(['settings.json']);
});

test('the file is copied before a value that was not understood is replaced', async () => {
  writeFileSync(path, '{"theme":"sepia"}');
  await open().change((draft) => {
    draft.theme = 'dark';
  });
  expect(stored()).toEqual({ theme: 'dark' });
  expect(readFileSync(`${path}.unreadable`, 'utf8')).toBe('{"theme":"sepia"}');
});

test('elements of arrays and records that do not fit are left out and kept', async () => {
  writeFileSync(path, '{"models":[{"name":"a"},{"title":"b"}],"chosen":{"x":"a","y":7}}');
  const file = open();
  expect(file.value).toMatchObject({ models: [{ name: 'a' }], chosen: { x: 'a' } });
  await file.change((draft) => {
    draft.models.push({ name: 'c' });
    delete draft.chosen['x'];
  });
  expect(stored()).toEqual({ models: [{ name: 'a' }, { name: 'c' }, { title: 'b' }], chosen: { y: 7 } });
});

test.each(['', '{"days":', '[1]', 'null', '\u0000'])('a damaged file (%j) counts as empty and every copy of it is kept', async (text) => {
  for (const copy of ['.unreadable', '.unreadable-2']) {
    writeFileSync(path, text);
    const file = open();
    expect(file.value).toEqual(defaults);
    await file.change((draft) => {
      draft.days = 2;
    });
    expect([readFileSync(path + copy, 'utf8'), stored()]).toEqual([text, { days: 2 }]);
  }
  expect(warnings.length).toBeGreaterThan(0);
});

test.skipIf(process.getuid?.() === 0)('a file that may not be read is moved aside before it is replaced', async () => {
  writeFileSync(path, '{"days":3}');
  chmodSync(path, 0);
  await open().change((draft) => {
    draft.days = 2;
  });
  expect([stored(), existsSync(`${path}.unreadable`)]).toEqual([{ days: 2 }, true]);
});

test.skipIf(process.platform === 'win32')('a pipe in the place of the file does not block and is moved aside', async () => {
  execFileSync('mkfifo', [path]);
  await open().change((draft) => {
    draft.days = 2;
  });
  expect([stored(), warnings.length > 0, lstatSync(`${path}.unreadable`).isFIFO()]).toEqual([{ days: 2 }, true, true]);
});

test('changes at once are applied one after the other', async () => {
  const file = open();
  const add = (name: string) => file.change((draft) => void draft.models.push({ name }));
  await Promise.all(['a', 'b', 'c'].map(add));
  expect(stored()).toEqual({ models: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] });
  expect(readdirSync(folder)).toEqual(['settings.json']);
});

test('an edit by hand meanwhile is not lost', async () => {
  const file = open();
  writeFileSync(path, '{"theme":"dark"}');
  await file.change((draft) => {
    draft.days = 2;
  });
  expect([stored(), file.value.theme]).toEqual([{ theme: 'dark', days: 2 }, 'dark']);
});

test('a change that fails has changed nothing, and the next one works', async () => {
  const file = open();
  const refused = file.change(() => {
    throw new Error('refused');
  });
  await expect(refused).rejects.toThrow('refused');
  rmSync(folder, { recursive: true });
  writeFileSync(folder, 'a file in place of the folder');
  const unwritable = file.change((draft) => {
    draft.days = 2;
  });
  await expect(unwritable).rejects.toMatchObject({ code: 'folder_not_writable' });
  expect(file.value.days).toBe(7);
  rmSync(folder);
  mkdirSync(folder);
  await file.change((draft) => {
    draft.days = 4;
  });
  expect(stored()).toEqual({ days: 4 });
});

test('defaults are not shared', async () => {
  const file = open();
  await file.change((draft) => void draft.models.push({ name: 'a' }));
  expect(defaults.models).toEqual([]);
});
