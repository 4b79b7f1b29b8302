import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { entryFile, resourcesDir } from '#main/lib/program-files.ts';
import { createPromptMeter } from './prompt-meter.ts';
import { loadTokenizer } from './tokenizer.ts';

const capabilities = { architecture: 'z-image' as const };
const bundled = { dir: join(resourcesDir, 'models/storybook-uint4'), fingerprint: 'bundled', capabilities };
const entry = entryFile('inference/meter-thread.ts');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'meter-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('the thread measures as the tokenizer does, many prompts at a time, and this thread goes on meanwhile', async () => {
  const meter = createPromptMeter(entry);
  const prompts = ['a cat', '', 'a cat '.repeat(300)];
  let turns = 0;
  const counter = setInterval(() => turns++, 0);
  const lengths = await Promise.all(prompts.map((prompt) => meter.measure(bundled, prompt)));
  clearInterval(counter);
  const tokenizer = await loadTokenizer(join(bundled.dir, 'tokenizer'));
  expect(lengths).toEqual(prompts.map((prompt) => tokenizer.measurePrompt(prompt)));
  expect(turns).toBeGreaterThan(1);
  await meter.close();
});

test('a missing tokenizer is reported by its code, and the next one is measured', async () => {
  const meter = createPromptMeter(entry);
  await expect(meter.measure({ dir: folder, fingerprint: 'none', capabilities }, 'a cat')).rejects.toMatchObject({ code: 'checkpoint_missing' });
  expect(await meter.measure(bundled, 'a cat')).toMatchObject({ cutAt: null });
  await meter.close();
});

test('what waits for a thread that ends is rejected, and a later call starts another', async () => {
  const broken = join(folder, 'broken.mjs');
  writeFileSync(broken, "import { parentPort } from 'node:worker_threads'; parentPort.once('message', () => { throw new Error('torn'); });");
  const meter = createPromptMeter(broken);
  for (const prompt of ['one', 'two']) await expect(meter.measure(bundled, prompt)).rejects.toMatchObject({ cause: { message: 'torn' } });
});
