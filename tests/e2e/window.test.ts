import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { noBrowser } from './browser.ts';
import { go, isFinished, openAdvanced, prompt, queue, shownImages, stage } from './window-page.ts';
import { WindowStudio } from './window-studio.ts';

const run = promisify(execFile);
if (noBrowser !== null) console.log(`window tests skipped: ${noBrowser}`);

describe.skipIf(noBrowser !== null)('the window in a browser', () => {
  let studio: WindowStudio;

  beforeAll(async () => {
    studio = new WindowStudio({ stepMs: 100 });
    await studio.start();
  });
  afterAll(() => studio.close());
  afterEach(async () => expect(await studio.endVisits()).toEqual([]));

  const visit = async (...options: Parameters<WindowStudio['visit']>): Promise<Page> => (await studio.visit(...options)).page;

  async function make(page: Page, words: string): Promise<void> {
    await prompt(page).fill(words);
    await page.getByRole('button', { name: 'Make image' }).click();
  }

  test('a first-time visitor makes an image by one click and sees it form', async () => {
    const page = await visit();
    await page.getByText(/^You are trying the small demo model\. Z-Image-Turbo \(6\.6 GB to download\)/).waitFor();
    expect(await page.getByRole('dialog').count()).toBe(0);
    await page.getByRole('button', { name: /^a sailboat on a beach/ }).click();
    const bar = stage(page).getByRole('progressbar');
    await bar.waitFor();
    await expect.poll(() => bar.getAttribute('aria-valuetext'), { timeout: 30_000, interval: 10 }).toMatch(/Drawing, step \d of 9/);
    await isFinished(page);
    expect(await page.getByRole('status').textContent()).toBe('Image finished.');

    expect(await shownImages(page)).toEqual([2048, 512]);
    await stage(page).getByRole('button', { name: 'Download' }).click();
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Upscaled, 2048 × 2048' }).click();
    expect((await download).suggestedFilename()).toMatch(/^\d{8}-a-sailboat-.*-[0-9a-f]{8}-upscaled\.png$/);
  });

  test('the line between original and upscaled image moves by keys and by dragging', async () => {
    const page = await visit();
    await make(page, 'a tree');
    await isFinished(page);
    const original = stage(page).locator('figure img').nth(1);
    const clip = () => original.evaluate((image) => getComputedStyle(image).clipPath);
    expect(await clip()).toBe('inset(0px 100% 0px 0px)');
    await stage(page)
      .getByRole('button', { name: /^Compare/ })
      .click();
    expect(await clip()).toBe('inset(0px 50% 0px 0px)');
    await stage(page).getByRole('slider').press('ArrowRight');
    expect(await clip()).not.toBe('inset(0px 50% 0px 0px)');
    const figure = await stage(page).locator('figure').boundingBox();
    if (figure === null) throw new Error('the image is not on the screen');
    const middle = { x: figure.x + figure.width / 2, y: figure.y + figure.height / 2 };
    await stage(page).getByRole('slider').press('ArrowLeft');
    await page.mouse.move(middle.x, middle.y);
    await page.mouse.down();
    await page.mouse.move(figure.x, middle.y, { steps: 4 });
    await page.mouse.up();
    await expect.poll(clip).toBe('inset(0px 100% 0px 0px)');
  });

  test('invalid values are reported at their fields and nothing is sent', async () => {
    const page = await visit();
    const frames: string[] = [];
    page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => frames.push(String(payload))));
    await page.reload();
    await openAdvanced(page);
    await page.getByLabel('Steps', { exact: true }).fill('99');
    await page.getByRole('button', { name: 'Make image' }).click();
    await page.getByText('Enter a whole number from 1 to 50.').waitFor();
    await page.getByText('Describe your image first.').waitFor();
    expect(await prompt(page).getAttribute('aria-invalid')).toBe('true');
    expect(await prompt(page).evaluate((box) => box === document.activeElement)).toBe(true);
    expect(frames.filter((frame) => frame.includes('create_job'))).toEqual([]);
    // a message that appears or disappears on blur must not move the clicked control
    await page.getByRole('button', { name: 'About: Steps' }).click();
    await page.getByText(/^The number of refinement steps\./).waitFor();
    expect(await page.getByText('Describe your image first.').isVisible()).toBe(true);
  });

  test('Ctrl+Enter makes the image, arrow up in the empty box brings the prompt back', async () => {
    const page = await visit();
    await prompt(page).fill('a car in the city');
    await prompt(page).press('Control+Enter');
    await isFinished(page);
    await prompt(page).fill('');
    await prompt(page).press('ArrowUp');
    expect(await prompt(page).inputValue()).toBe('a car in the city');
  });

  test('a reload loses neither typed text nor running jobs', async () => {
    const page = await visit();
    // long enough to be seen on a busy machine
    await openAdvanced(page);
    await page.getByLabel('Steps', { exact: true }).fill('50');
    await make(page, 'an owl before the reload');
    await stage(page).getByRole('progressbar').waitFor();
    await prompt(page).fill('half a sent');
    await page.reload();
    expect(await prompt(page).inputValue()).toBe('half a sent');
    await queue(page)
      .getByRole('button', { name: /an owl before the reload/ })
      .first()
      .click();
    await isFinished(page);
  });

  test('several images queue up; one is cancelled, the others are finished', async () => {
    const page = await visit();
    await page.getByLabel('Images', { exact: true }).fill('6');
    await prompt(page).fill('{five|six} bears');
    await page.getByLabel('Expand {red|blue}').check();
    await page.getByRole('button', { name: 'Make 12 images' }).waitFor();
    await prompt(page).fill('six bears');
    await page.getByRole('button', { name: 'Make 6 images' }).click();
    await page.getByRole('button', { name: 'Pause the queue' }).click();
    await queue(page).getByRole('button', { name: 'Cancel: six bears' }).last().click();
    await page.getByRole('button', { name: 'Resume' }).click();
    await expect.poll(() => queue(page).getByRole('button', { name: 'Show: six bears (Done)' }).count(), { timeout: 60_000 }).toBe(5);
    const batch = page.getByRole('region', { name: 'Batch' });
    await batch.getByText('6 of 6').waitFor();
    expect(await batch.getByRole('button', { name: /^Image \d, seed \d+: Done$/ }).count()).toBe(5);
    await batch.getByRole('button', { name: /^Image 2,/ }).click();
    await isFinished(page);
    await page.getByRole('button', { name: 'All 6 images' }).click();
    await batch.waitFor();
    await page.locator('body').press('?');
    const shortcuts = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
    await shortcuts.waitFor();
    await page.keyboard.press('Escape');
    await shortcuts.waitFor({ state: 'detached' });
    await page.locator('body').press('g');
    await page.getByRole('heading', { name: /^Gallery/ }).waitFor({ state: 'attached' });
  });

  test("a script's job shows in the queue with its client's name", async () => {
    const page = await visit();
    const script = new WebSocket(`${studio.url.replace('http', 'ws')}/api/ws?client_id=night-script`);
    await new Promise((resolve) => script.once('open', resolve));
    script.send(JSON.stringify({ type: 'create_job', task_type: 'text_to_image', params: { prompt: 'a lighthouse', width: 512, height: 512, steps: 30 } }));
    await queue(page).getByRole('button', { name: 'a lighthouse', exact: true }).waitFor();
    await queue(page).getByText('from night-script').waitFor();
    script.close();
  });

  test('two windows of one browser stay in step', async () => {
    const page = await visit();
    const other = await page.context().newPage();
    await other.goto(studio.url);
    await make(page, 'a penguin in two windows');
    await other
      .getByRole('region', { name: 'Queue' })
      .getByRole('button', { name: /a penguin in two windows/ })
      .first()
      .waitFor();
    await go(other, 'Settings');
    await other.getByText('中文').click();
    await page.getByRole('button', { name: '图库' }).waitFor();
    expect(await page.locator('html').getAttribute('lang')).toBe('zh');
    await isFinishedIn(page, '对比原图与高清图');
  });

  const isFinishedIn = (page: Page, name: string) => page.getByRole('button', { name, disabled: false }).waitFor();

  test('the gallery searches, stars, deletes and restores', async () => {
    const page = await visit();
    await make(page, 'a hedgehog for the gallery');
    await isFinished(page);
    await go(page, 'Gallery');
    const tiles = page.getByRole('button', { name: /^Open: / });
    await page.getByPlaceholder('Search prompts').fill('hedgehog');
    await expect.poll(() => tiles.count()).toBe(1);
    await tiles.first().focus();
    await page.keyboard.press('s');
    await page.getByText('Starred').click();
    await expect.poll(() => tiles.count()).toBe(1);
    await tiles.first().press('Delete');
    await page.getByText('Image moved to the bin.').waitFor();
    await expect.poll(() => tiles.count()).toBe(0);
    await page.getByRole('button', { name: 'Undo' }).click();
    await expect.poll(() => tiles.count()).toBe(1);
    await tiles.first().press('Enter');
    await page
      .getByRole('dialog')
      .getByRole('button', { name: /^Compare/, disabled: false })
      .waitFor();
    await page.keyboard.press('Escape');
    await page.getByPlaceholder('Search prompts').fill('nothing like this');
    await page.getByText('No results.').waitFor();
  });

  test("an image's file fills the form with its recipe, a file without settings is reported", async () => {
    const page = await visit();
    await make(page, 'a mushroom with a recipe');
    await isFinished(page);
    await stage(page).getByRole('button', { name: 'Download' }).click();
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: /^Upscaled/ }).click();
    const bytes = await readFile(await (await download).path());
    const [, seed] = /Seed (\d+)/.exec((await stage(page).textContent()) ?? '') ?? [];
    await prompt(page).fill('something else');
    await page.locator('input[type=file][accept="image/png"]').setInputFiles({ name: 'image.png', mimeType: 'image/png', buffer: bytes });
    await expect.poll(() => prompt(page).inputValue()).toBe('a mushroom with a recipe');
    await openAdvanced(page);
    expect(await page.getByLabel('Seed', { exact: true }).inputValue()).toBe(seed);
    expect(await page.getByRole('button', { name: 'Keep this seed', exact: true }).getAttribute('aria-pressed')).toBe('true');
    const bare = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    await page.locator('input[type=file][accept="image/png"]').setInputFiles({ name: 'bare.png', mimeType: 'image/png', buffer: bare });
    await page.getByText('No settings were found in this file. The form is unchanged.').waitFor();
  });

  test('copied programs run as pasted', async () => {
    const page = await visit({ permissions: ['clipboard-read', 'clipboard-write'] });
    await make(page, `it's a "copied" fox\\ 狐狸`);
    await isFinished(page);
    async function copied(item: string): Promise<string> {
      await stage(page).getByRole('button', { name: 'Copy' }).click();
      await page.getByRole('button', { name: item, exact: true }).click();
      await page.getByText('Copied.').first().waitFor();
      return page.evaluate(() => navigator.clipboard.readText());
    }
    expect(await copied('Prompt')).toBe(`it's a "copied" fox\\ 狐狸`);
    const node = await run(process.execPath, ['-e', await copied('JavaScript program')]);
    expect(node.stdout).toMatch(/\/api\/image\/\S+\.png\n.*-upscaled\.png\n$/);
    const curl = await copied('curl commands');
    await run('bash', ['-e', '-c', curl], { cwd: studio.folder });
    const python = await run('python3', ['-c', await copied('Python program')], { cwd: studio.folder });
    const names = python.stdout.trim().split('\n');
    expect(names).toHaveLength(2);
    for (const name of names) expect((await readFile(`${studio.folder}/${name}`)).subarray(1, 4).toString()).toBe('PNG');
  });

  test('theme and language are saved, and the page follows them', async () => {
    const page = await visit({ colorScheme: 'dark', locale: 'zh-CN' });
    await page.getByRole('button', { name: '生成图片' }).waitFor();
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await background();
    await go(page, '设置');
    await page.getByText('浅色').click();
    expect(await background()).not.toBe(dark);
    await page.getByText('English').click();
    await page.reload();
    await page.getByRole('heading', { name: 'Settings', exact: true }).waitFor();
    expect(await background()).not.toBe(dark);
  });

  test.each([
    { width: 390, height: 844 },
    { width: 720, height: 450 },
  ])('nothing is wider than a window of $width x $height', async (viewport) => {
    const page = await visit({ viewport });
    await make(page, 'owl'.repeat(100));
    await stage(page).getByText('owlowl').waitFor();
    for (const screen of ['Make', 'Gallery', 'Settings']) {
      await go(page, screen);
      const tooWide = await page
        .locator('html, main')
        .evaluateAll((boxes) => boxes.filter((box) => box.scrollWidth > box.clientWidth).map((box) => box.tagName));
      expect(tooWide).toEqual([]);
    }
  });
});

describe.skipIf(noBrowser !== null)('the window of a busy or broken server', () => {
  test('a waiting image is moved up, and a paused queue says so', async () => {
    const studio = new WindowStudio({ stepMs: 100 });
    await studio.start();
    try {
      const { page, faults } = await studio.visit();
      const queue = page.getByRole('region', { name: 'Queue' });
      const rows = queue.getByRole('button', { name: /^(slow|early|late) bears$/ });
      const make = async (words: string, count: string) => {
        await page.getByLabel('Images', { exact: true }).fill(count);
        await page.locator('textarea').fill(words);
        await page.locator('textarea').press('Control+Enter');
        await queue.getByRole('button', { name: words, exact: true }).last().waitFor();
      };
      await make('slow bears', '4');
      await queue.getByRole('button', { name: 'Pause the queue' }).click();
      await queue.getByText('Paused.').waitFor();
      await make('early bears', '1');
      await make('late bears', '1');
      const up = queue.getByRole('button', { name: 'Move up: late bears' });
      await expect.poll(() => up.isEnabled()).toBe(true);
      await up.press('Enter');
      await expect.poll(async () => (await rows.allTextContents()).slice(-2)).toEqual(['late bears', 'early bears']);
      await queue.getByRole('button', { name: 'Cancel all' }).click();
      await expect.poll(() => rows.count()).toBe(0);
      await queue.getByRole('button', { name: 'Resume' }).click();
      await queue.getByText('Paused.').waitFor({ state: 'hidden' });
      expect(faults).toEqual([]);
    } finally {
      await studio.close();
    }
  });

  test('while the server is unreachable, the window says so, keeps the text and continues when it is back', async () => {
    const studio = new WindowStudio({ stepMs: 20 });
    await studio.start();
    try {
      const { page } = await studio.visit();
      const box = page.locator('textarea');
      await page.getByRole('button', { name: /^a red car/ }).click();
      await page.getByRole('button', { name: /^Compare/, disabled: false }).waitFor();
      await studio.stop();
      await page.getByText('Can’t reach the server.').waitFor();
      await box.fill('written while it was away');
      await page.getByRole('button', { name: 'Make image' }).click();
      await page.getByText('Will be sent when the server is back').waitFor();
      await studio.start();
      await page.getByRole('status').getByText('Image finished.').waitFor({ state: 'attached' });
      await page.getByText('Can’t reach the server.').waitFor({ state: 'hidden' });
      await page
        .getByRole('region', { name: 'Queue' })
        .getByRole('button', { name: /written while it was away \(Done\)/ })
        .waitFor();
    } finally {
      await studio.close();
    }
  });

  test('a browser that reports being offline works as long as the server responds', async () => {
    const studio = new WindowStudio({ stepMs: 20 }, ['--allow-host', 'studio.localhost']);
    await studio.start();
    try {
      const { page } = await studio.visit({}, `http://studio.localhost:${studio.port}`);
      await page.addInitScript(() => Object.defineProperty(navigator, 'onLine', { get: () => false }));
      await page.reload();
      await page.locator('textarea').fill('made without a network');
      await page.locator('textarea').press('Control+Enter');
      await page.getByRole('button', { name: /^Compare/, disabled: false }).waitFor();
      expect(await page.getByRole('alert').count()).toBe(0);
    } finally {
      await studio.close();
    }
  });

  test('a job that fails says why and what to do, and can be retried', async () => {
    const studio = new WindowStudio({ stepMs: 5, faults: ['oom@2', 'oom@2'] });
    await studio.start();
    try {
      const { page, faults } = await studio.visit();
      await page.locator('textarea').fill('an image that fails first');
      await page.locator('textarea').press('Control+Enter');
      await page.getByText('This image could not be made').waitFor();
      await page.getByText('Not enough memory. Try a smaller size or close other apps.').waitFor();
      await page.getByRole('button', { name: 'Try again', exact: true }).click();
      await page.getByRole('button', { name: /^Compare/, disabled: false }).waitFor();
      expect(faults).toEqual([]);
    } finally {
      await studio.close();
    }
  });
});
