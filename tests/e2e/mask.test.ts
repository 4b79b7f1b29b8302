import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { jobPageSchema } from '#shared/domain/job-record.ts';
import { noBrowser } from './browser.ts';
import { isFinished, make, stage } from './window-page.ts';
import { WindowStudio } from './window-studio.ts';

if (noBrowser !== null) console.log(`mask tests skipped: ${noBrowser}`);

describe.skipIf(noBrowser !== null)('an image from outside in the window', () => {
  let studio: WindowStudio;
  beforeAll(async () => {
    studio = new WindowStudio({ stepMs: 5 });
    await studio.start();
  });
  afterAll(() => studio.close());
  afterEach(async () => expect(await studio.endVisits()).toEqual([]));

  /** Picks an image of 320 x 256 and opens the mask editor; returns the place of its canvas. */
  async function openEditor(page: Page) {
    const buffer = await sharp({ create: { width: 320, height: 256, channels: 3, background: 'teal' } })
      .png()
      .toBuffer();
    await page.locator('input[data-purpose=source]').setInputFiles({ name: 'own.png', mimeType: 'image/png', buffer });
    await page.getByRole('dialog', { name: 'What should happen to this image?' }).getByRole('button', { name: 'Repaint parts' }).click();
    const editor = page.getByRole('dialog', { name: 'Paint what should change' });
    await editor.locator('img').evaluate((image: HTMLImageElement) => image.decode());
    const box = await editor.locator('canvas').boundingBox();
    if (box === null) throw new Error('the canvas is not shown');
    return { editor, at: (x: number, y: number) => [box.x + x * box.width, box.y + y * box.height] as const };
  }

  /** Whether the mask of the newest job repaints the place, given as shares of its sides. */
  async function repaints(places: readonly (readonly [number, number])[]): Promise<boolean[]> {
    const { jobs } = jobPageSchema.parse(await (await fetch(`${studio.url}/api/jobs?limit=1`)).json());
    const [job] = jobs;
    if (job?.task_type !== 'inpaint') throw new Error(`the newest job is ${job?.task_type}`);
    const file = await (await fetch(`${studio.url}/api/uploads/${job.params.mask}/image`)).arrayBuffer();
    const { data, info } = await sharp(file).greyscale().raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([320, 256]);
    return places.map(([x, y]) => (data[Math.floor(y * info.height) * info.width * info.channels + Math.floor(x * info.width) * info.channels] ?? 0) >= 128);
  }

  async function paintedImage(page: Page): Promise<void> {
    await page.getByText('Repaints the masked parts').waitFor();
    await make(page, 'a red door');
    await isFinished(page);
    await stage(page).getByRole('img').first().waitFor();
  }

  test('a mask is drawn with the mouse, undone, redone and inverted, and the repainted image is shown', async () => {
    const { page } = await studio.visit();
    const { editor, at } = await openEditor(page);
    await page.mouse.move(...at(0.3, 0.5));
    await page.mouse.down();
    await page.mouse.move(...at(0.7, 0.5), { steps: 5 });
    await page.mouse.up();
    await editor.getByRole('button', { name: 'Rectangle' }).click();
    await page.mouse.move(...at(0, 0));
    await page.mouse.down();
    await page.mouse.move(...at(0.1, 0.1), { steps: 3 });
    await page.mouse.up();
    await editor.getByRole('button', { name: 'Undo' }).click();
    await editor.getByRole('button', { name: 'Redo' }).click();
    await editor.getByRole('button', { name: 'Invert' }).click();
    await editor.getByRole('button', { name: 'Undo' }).click();
    await editor.getByRole('button', { name: 'Use this mask' }).click();
    await paintedImage(page);
    expect(
      await repaints([
        [0.5, 0.5],
        [0.05, 0.05],
        [0.5, 0.9],
        [0.9, 0.1],
      ]),
    ).toEqual([true, true, false, false]);
  });

  test('a mask is drawn with a finger, and two fingers draw nothing', async () => {
    const { page } = await studio.visit();
    const { editor, at } = await openEditor(page);
    const cdp = await page.context().newCDPSession(page);
    await cdp.send('Emulation.setTouchEmulationEnabled', { enabled: true });
    const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', ...points: (readonly [number, number])[]) =>
      cdp.send('Input.dispatchTouchEvent', { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
    await touch('touchStart', at(0.2, 0.2));
    await touch('touchMove', at(0.4, 0.2));
    await touch('touchEnd');
    await touch('touchStart', at(0.3, 0.8), at(0.7, 0.8));
    await touch('touchMove', at(0.2, 0.8), at(0.8, 0.8));
    await touch('touchEnd');
    await editor.getByRole('button', { name: 'Use this mask' }).click();
    await paintedImage(page);
    expect(
      await repaints([
        [0.3, 0.2],
        [0.3, 0.8],
        [0.7, 0.8],
      ]),
    ).toEqual([true, false, false]);
  });

  test('a finished image is upscaled in one click, and its start is offered', async () => {
    const { page } = await studio.visit();
    await make(page, 'a boat');
    await isFinished(page);
    await stage(page).getByRole('button', { name: 'Edit' }).click();
    await page.getByRole('button', { name: /^Upscale 2×/ }).click();
    await expect
      .poll(async () => jobPageSchema.parse(await (await fetch(`${studio.url}/api/jobs?limit=1`)).json()).jobs[0])
      .toMatchObject({ task_type: 'upscale', status: 'completed', params: { scale: 2 } });
  });
});
