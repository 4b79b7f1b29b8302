import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { resourcesDir } from '#main/lib/program-files.ts';
import { noBrowser } from './browser.ts';
import { go } from './window-page.ts';
import { WindowStudio } from './window-studio.ts';

if (noBrowser !== null) console.log(`window model tests skipped: ${noBrowser}`);

describe.skipIf(noBrowser !== null)('models in the window', () => {
  let studio: WindowStudio;
  beforeAll(async () => {
    studio = new WindowStudio();
    await studio.start();
  });
  afterAll(() => studio.close());

  test('one is chosen, a folder is added, used and taken away by keyboard alone, and what cannot be added says why', async () => {
    const { page, faults } = await studio.visit();
    await go(page, 'Settings');
    const row = (name: string) => page.getByRole('listitem', { name, exact: true });
    const inUse = (name: string) => row(name).getByText('in use');
    await inUse('realesr-general-x4v3').waitFor();
    await row('RealESRGAN_x4plus').getByRole('button', { name: 'Use' }).press('Enter');
    await inUse('RealESRGAN_x4plus').waitFor();
    await inUse('realesr-general-x4v3').waitFor({ state: 'detached' });

    const folder = join(studio.folder, 'my checkpoint');
    cpSync(join(resourcesDir, 'models/storybook-uint4'), folder, { recursive: true });
    const field = page.getByLabel('Add another model', { exact: true });
    await field.fill(folder);
    await field.press('Enter');
    await inUse('my checkpoint').waitFor();
    await inUse('storybook-uint4').waitFor({ state: 'detached' });

    const empty = join(studio.folder, 'empty');
    mkdirSync(empty);
    await field.fill(empty);
    await field.press('Enter');
    await page.getByText(`${empty} is no checkpoint folder: it has no model_index.json.`).waitFor();
    expect(await field.getAttribute('aria-invalid')).toBe('true');

    await row('my checkpoint').getByRole('button', { name: 'Remove' }).press('Enter');
    // the focus is where the answer is: one more key
    await page.keyboard.press('Enter');
    await row('my checkpoint').waitFor({ state: 'detached' });
    await inUse('storybook-uint4').waitFor();
    // the refused folder was answered with 422, which a browser writes into its console
    expect(faults.filter((fault) => !fault.includes('422'))).toEqual([]);
    await page.context().close();
  });
});
