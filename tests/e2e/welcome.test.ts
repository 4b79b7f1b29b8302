import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createRequire } from 'node:module';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { noBrowser } from './browser.ts';
import { WindowStudio } from './window-studio.ts';

const axePath = createRequire(import.meta.url).resolve('axe-core');
const studio = new WindowStudio();

beforeAll(async () => {
  if (noBrowser === null) await studio.start();
});
beforeEach(({ skip }) => {
  if (noBrowser !== null) skip(noBrowser);
});
afterAll(() => studio.close());

test('the first visit asks, in the language that is chosen, takes the time of a real picture, and does not ask again', async () => {
  const { page, faults } = await studio.visit({ isFirstRun: true });
  const dialog = page.getByRole('dialog', { name: 'Welcome to Z-Image-Turbo Studio' });
  await dialog.waitFor();
  expect(await dialog.getByRole('textbox').inputValue()).toBe(join(studio.folder, 'outputs'));
  await page.addScriptTag({ path: axePath }).catch(() => page.evaluate(''));

  await dialog.getByRole('radio', { name: '中文' }).check();
  await page.getByRole('dialog', { name: '欢迎使用 Z-Image-Turbo Studio' }).waitFor();
  await page.getByRole('radio', { name: 'English' }).check();

  await dialog.getByText('Make one small picture and take the time').click();
  await dialog.getByText(/^[\d.]+ s, and [\d.]+ s for its enlargement$/).waitFor();
  const jobs = await page.evaluate(async () => (await (await fetch('/api/jobs')).json()).jobs);
  expect(jobs).toHaveLength(1);
  expect(jobs[0]).toMatchObject({ status: 'completed', params: { width: 256, height: 256 } });

  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await page.reload();
  await page.getByRole('navigation').waitFor();
  expect(await dialog.count()).toBe(0);

  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('button', { name: 'Show the first steps again' }).click();
  await dialog.waitFor();
  expect(faults).toEqual([]);
});
