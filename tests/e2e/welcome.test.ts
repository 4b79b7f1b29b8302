import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type axe from 'axe-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noBrowser } from './browser.ts';
import { coloursShown } from './page-checks.ts';
import { WindowStudio } from './window-studio.ts';

if (noBrowser !== null) console.log(`tests of the first run skipped: ${noBrowser}`);

const axeSource = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

declare global {
  interface Window {
    axe: typeof axe;
  }
}

describe.skipIf(noBrowser !== null)('the first run', () => {
  const studio = new WindowStudio();
  beforeAll(() => studio.start());
  afterAll(() => studio.close());

  test('setup follows the chosen language, measures a real image, and does not open again', async () => {
    const { page, faults } = await studio.visit({ isFirstRun: true, reducedMotion: 'reduce' });
    const dialog = page.getByRole('dialog', { name: 'Welcome to Z-Image-Turbo Studio' });
    await dialog.waitFor();
    expect(await dialog.getByRole('textbox').inputValue()).toBe(join(studio.folder, 'outputs'));
    await page.evaluate(axeSource);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.evaluate(coloursShown, colorScheme);
      const { violations } = await page.evaluate(() => window.axe.run('dialog', { resultTypes: ['violations'] }));
      expect(violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id} ${html.slice(0, 200)}`))).toEqual([]);
    }

    await dialog.getByText('中文').click();
    await page.getByRole('dialog', { name: '欢迎使用 Z-Image-Turbo Studio' }).waitFor();
    await page.getByText('English').click();

    await dialog.getByRole('button', { name: 'Make a test image' }).press('Enter');
    await dialog.getByText(/^[\d.]+ s, plus [\d.]+ s for upscaling$/).waitFor();
    const jobs = await page.evaluate(async () => (await (await fetch('/api/jobs')).json()).jobs);
    expect(jobs).toHaveLength(1);
    expect(jobs[0]).toMatchObject({ status: 'completed', params: { width: 256, height: 256 } });

    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await page.reload();
    await page.getByRole('navigation').waitFor();
    expect(await dialog.count()).toBe(0);

    await page.getByRole('navigation').getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('button', { name: 'Run setup again' }).click();
    await dialog.waitFor();
    await dialog.getByRole('button', { name: 'Start' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect(faults).toEqual([]);
  });
});
