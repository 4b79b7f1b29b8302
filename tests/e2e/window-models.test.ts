import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { packSystem } from '#main/cuda-pack/pack-plan.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { startPackServer } from '../support/stand-in-pack.ts';
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

  test('one is chosen, a folder is added, used and removed by keyboard alone, and a refused folder shows the reason', async () => {
    const { page, faults } = await studio.visit();
    await go(page, 'Models');
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
    await page.getByText(`${empty} is not a checkpoint: it has no model_index.json.`).waitFor();
    expect(await field.getAttribute('aria-invalid')).toBe('true');

    await row('my checkpoint').getByRole('button', { name: 'Remove' }).press('Enter');
    // the focus is on the answer: one more key
    await page.keyboard.press('Enter');
    await row('my checkpoint').waitFor({ state: 'detached' });
    await inUse('storybook-uint4').waitFor();
    // the refused folder was answered with 422, which the browser logs in its console
    expect(faults.filter((fault) => !fault.includes('422'))).toEqual([]);
    await page.context().close();
  });
});

describe.skipIf(noBrowser !== null)('the CUDA pack in the window', () => {
  test('is installed only after its licences are accepted; failures are reported, and it can be removed', async (context) => {
    context.skip(packSystem(process.platform, process.arch) === null, 'there is no CUDA pack for this system');
    const index = await startPackServer(new Map());
    const studio = new WindowStudio({}, ['--wheel-index', `${index.origin}/simple`]);
    onTestFinished(async () => {
      await studio.close();
      await index.close();
    });
    await studio.start();
    const { page, faults } = await studio.visit();
    await go(page, 'Settings');
    const pack = page.getByRole('region', { name: 'NVIDIA GPU', exact: true });
    // collapsed if no card answers
    const folded = pack.getByText('Install the libraries anyway');
    await folded.or(pack.getByRole('checkbox')).first().waitFor();
    if (await folded.isVisible()) await folded.press('Enter');
    const install = pack.getByRole('button', { name: 'Install the CUDA pack' });
    await pack.getByRole('link', { name: 'NVIDIA Software License Agreement and CUDA Supplement' }).waitFor();
    expect(await install.isDisabled()).toBe(true);
    expect(index.requests).toBe(0);
    await pack.getByRole('checkbox', { name: 'I have read and accept these licences' }).press('Space');
    await install.press('Enter');
    await pack.getByText(`The index ${new URL(index.origin).host} has no onnxruntime_gpu-`).waitFor();
    await pack.getByRole('button', { name: 'Resume' }).waitFor();
    await pack.getByRole('button', { name: 'Remove' }).press('Enter');
    // the focus is on the answer: one more key
    await page.keyboard.press('Enter');
    await pack.getByText('not installed').waitFor();
    expect(faults).toEqual([]);
  });
});
