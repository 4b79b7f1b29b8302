import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { needsMount, SmallDisk } from '../support/small-disk.ts';
import { noBrowser } from './browser.ts';
import { openForeignDoor } from './foreign-door.ts';
import { go, isFinished, make, prompt, queue, stage, useThese } from './window-page.ts';
import { WindowStudio } from './window-studio.ts';

const run = promisify(execFile);
if (noBrowser !== null) console.log(`window feature tests skipped: ${noBrowser}`);

describe.skipIf(noBrowser !== null)('what a person does in the window', () => {
  let studio: WindowStudio;

  beforeAll(async () => {
    studio = new WindowStudio({ stepMs: 40 });
    await studio.start();
  });
  afterAll(() => studio.close());
  afterEach(async () => expect(await studio.endVisits()).toEqual([]));

  const visit = async (...options: Parameters<WindowStudio['visit']>): Promise<Page> => (await studio.visit(...options)).page;

  test('tokens are counted while typing, and text over the limit is highlighted and can be removed', async () => {
    const page = await visit();
    await prompt(page).fill('a fox');
    const count = page.getByText(/^\d+ of 512 tokens$/);
    await count.waitFor();
    const short = Number.parseInt((await count.textContent()) ?? '', 10);
    await prompt(page).fill('a patient fox in deep snow, '.repeat(120));
    await page.getByText('The highlighted part is over the model’s limit and will be ignored.').waitFor();
    expect(Number.parseInt((await count.textContent()) ?? '', 10)).toBeGreaterThan(Math.max(512, short));
    const [marked, typed] = [await page.locator('mark').textContent(), await prompt(page).inputValue()];
    expect(typed.endsWith(marked ?? 'nothing is marked')).toBe(true);
    // the highlight is exactly under its words: both layers wrap alike
    const [layer, box] = await Promise.all([
      page.locator('mark').evaluate((mark) => mark.parentElement?.scrollHeight),
      prompt(page).evaluate((element) => element.scrollHeight),
    ]);
    expect(layer).toBe(box);
    await page.getByRole('button', { name: 'Remove it' }).click();
    await page.locator('mark').waitFor({ state: 'detached' });
    await expect.poll(async () => Number.parseInt((await count.textContent()) ?? '', 10)).toBeLessThanOrEqual(512);
  });

  test('templates and own styles survive a reload and can be deleted', async () => {
    const page = await visit();
    await prompt(page).fill('a lighthouse');
    await page.getByRole('button', { name: 'Add your own style' }).click();
    await page.getByPlaceholder('Add your own style').fill('linocut');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'linocut', exact: true }).click();
    expect(await prompt(page).inputValue()).toBe('a lighthouse, linocut');
    await page.getByText('512', { exact: true }).click();
    await page.getByRole('button', { name: 'Save prompt and settings as a template' }).click();
    await page.getByText('256', { exact: true }).click();
    await prompt(page).fill('something else');
    await page.reload();
    await page.getByText('1 template', { exact: true }).click();
    await page.getByRole('button', { name: /^a lighthouse, linocut/ }).click();
    expect(await prompt(page).inputValue()).toBe('a lighthouse, linocut');
    expect(await page.getByRole('radio', { name: '512' }).isChecked()).toBe(true);
    await page.getByRole('button', { name: 'Delete template: a lighthouse, linocut' }).click();
    await page.getByText('1 template', { exact: true }).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Delete style: linocut' }).click();
    await page.getByRole('button', { name: 'linocut', exact: true }).waitFor({ state: 'detached' });
  });

  test('preview, image and upscaled image appear in the same place, one after the other', async () => {
    const page = await visit();
    await page.evaluate(() => {
      const seen = new Set<string>();
      const kinds = new Set<string>();
      const look = () => {
        const images = document.querySelectorAll<HTMLImageElement>('section[aria-label="Image"] img.max-w-none');
        for (const image of images) {
          const { left, top, width, height } = image.getBoundingClientRect();
          if (width > 0) seen.add([left, top, width, height].map(Math.round).join(' '));
        }
        document.body.dataset['places'] = [...seen].join(', ');
        kinds.add([...images].map((image) => (image.src.startsWith('data:') ? 'preview' : 'file')).join(' '));
        document.body.dataset['kinds'] = [...kinds].join(', ');
        requestAnimationFrame(look);
      };
      look();
    });
    const kinds = () => page.evaluate(() => document.body.dataset['kinds']);
    await make(page, 'an image that forms');
    await isFinished(page);
    await expect.poll(kinds).toMatch(/^(, )?preview, .*file file$/);
    expect((await page.evaluate(() => document.body.dataset['places']))?.split(', ')).toHaveLength(1);
  });

  test('the upscaled image zooms by keys, pans by dragging and shows single pixels through a lens', async () => {
    const page = await visit();
    await make(page, 'an image to look into');
    await isFinished(page);
    const original = stage(page).locator('figure img').nth(1);
    const transform = () => original.evaluate((image) => new DOMMatrix(getComputedStyle(image).transform).toFloat32Array());
    const scale = async () => (await transform())[0] ?? 0;
    await stage(page).getByRole('button', { name: 'actual size of the upscaled image' }).press('+');
    await expect.poll(scale).toBeCloseTo(1.5, 3);
    await page.keyboard.press('+');
    const figure = await stage(page).locator('figure').boundingBox();
    if (figure === null) throw new Error('the image is not on the screen');
    const start = { x: figure.x + figure.width / 4, y: figure.y + figure.height / 3 };
    const before = (await transform())[12] ?? 0;
    await page.mouse.move(start.x, start.y);
    await page.mouse.down();
    await page.mouse.move(start.x + 60, start.y, { steps: 3 });
    await page.mouse.up();
    expect((await transform())[12]).toBeCloseTo(before + 60, 0);
    await page.keyboard.press('0');
    await expect.poll(scale).toBe(1);
    await stage(page).getByRole('button', { name: 'Magnifier' }).click();
    await page.mouse.move(start.x, start.y);
    await expect
      .poll(() =>
        stage(page)
          .locator('figure > div[aria-hidden]')
          .evaluate((lens) => getComputedStyle(lens).backgroundSize),
      )
      .toBe('2048px 2048px');
  });

  test('arrow keys go through the images on the stage, full screen stays on, a reload finds the same image', async () => {
    const page = await visit();
    await make(page, 'the first of two');
    await isFinished(page);
    await make(page, 'the second of two');
    await stage(page).getByText('the second of two').waitFor();
    await isFinished(page);
    await page.getByRole('button', { name: 'Full screen' }).click();
    await expect.poll(() => page.evaluate(() => document.fullscreenElement?.tagName)).toBe('FIGURE');
    await page.keyboard.press('ArrowRight');
    await page.getByRole('figure', { name: 'Image of: the first of two' }).waitFor();
    expect(await page.evaluate(() => document.fullscreenElement?.tagName)).toBe('FIGURE');
    await page.getByRole('button', { name: 'Full screen' }).click();
    await page.reload();
    await page.getByRole('figure', { name: 'Image of: the first of two' }).waitFor();
    await page.getByRole('heading', { name: /^Make/ }).waitFor();
    await page.keyboard.press('ArrowLeft');
    await page.getByRole('figure', { name: 'Image of: the second of two' }).waitFor();
  });

  test('both files of an image show their recipe', async () => {
    const page = await visit({ permissions: ['clipboard-read', 'clipboard-write'] });
    await make(page, 'a badger with a recipe');
    await isFinished(page);
    await stage(page).getByRole('button', { name: 'Details' }).click();
    const dialog = page.getByRole('dialog', { name: 'Image details' });
    await dialog.getByText('a badger with a recipe').waitFor();
    await dialog.getByText('512 × 512').waitFor();
    await dialog.getByText('Upscaled', { exact: true }).first().click();
    await dialog.getByText('2048 × 2048').waitFor();
    await dialog.getByText(/-upscaled\.png$/).waitFor();
    await dialog.getByRole('button', { name: 'Copy as JSON' }).click();
    await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toContain('"role": "upscaled"');
    await dialog.getByRole('button', { name: 'Verify' }).click();
    await dialog.getByText('The pixels are those that were made. It can be made again here.').waitFor();
    await dialog.getByRole('button', { name: 'Make again and compare' }).click();
    await dialog.getByText('Made again: identical.').waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
  });

  test("dropping another tool's image on the window fills in the matching fields", async () => {
    const page = await visit();
    const settings = 'a dog on the moon\nNegative prompt: blurry\nSteps: 12, Sampler: Euler a, CFG scale: 7, Seed: 99, Size: 512x768';
    const image = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    const png = withText(image, 'parameters', settings);
    await prompt(page).waitFor(); // then the page receives what is dropped
    await page.evaluate(
      (bytes) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([Uint8Array.from(bytes)], 'foreign.png', { type: 'image/png' }));
        for (const type of ['dragover', 'drop']) window.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
      },
      [...png],
    );
    await page.getByRole('button', { name: 'Use its settings' }).click();
    await expect.poll(() => prompt(page).inputValue()).toBe('a dog on the moon');
    for (const [label, value] of Object.entries({ Steps: '12', Seed: '99', Width: '512', Height: '768' })) {
      expect(await page.getByLabel(label, { exact: true }).inputValue()).toBe(value);
    }
  });

  test('the queue is reordered by dragging and by keys, and the focus stays', async () => {
    const page = await visit();
    const rows = queue(page).getByRole('button', { name: /^(busy|one|two|three) bears$/ });
    const waiting = async () => (await rows.allTextContents()).filter((text) => text !== 'busy bears').map((text) => text.split(' ')[0]);
    await queue(page).getByRole('button', { name: 'Pause the queue' }).click();
    await queue(page).getByText('Paused.').waitFor();
    for (const name of ['one', 'two', 'three']) await make(page, `${name} bears`);
    await expect.poll(waiting).toEqual(['one', 'two', 'three']);
    await rows.getByText('three bears').dragTo(rows.getByText('one bears'));
    await expect.poll(waiting).toEqual(['three', 'one', 'two']);
    await rows.getByText('two bears').focus();
    await page.keyboard.press('Alt+ArrowUp');
    await expect.poll(waiting).toEqual(['three', 'two', 'one']);
    await expect.poll(() => page.evaluate(() => document.activeElement?.textContent)).toBe('two bears');
    await page.keyboard.press('Alt+ArrowUp');
    await expect.poll(waiting).toEqual(['two', 'three', 'one']);
    await queue(page).getByText('Next').waitFor();
    await queue(page).getByRole('button', { name: 'Cancel all' }).click();
    await expect.poll(waiting).toEqual([]);
    await queue(page).getByRole('button', { name: 'Resume' }).click();
    await queue(page).getByText('Paused.').waitFor({ state: 'hidden' });
  });

  test('the gallery is filtered by size, date and client, selected by ranges, and the bin is emptied', async () => {
    const page = await visit();
    await make(page, 'a crane of another size', { size: '512' });
    await isFinished(page);
    await page.getByText('256', { exact: true }).click();
    await make(page, 'cranes', { count: '3' });
    await expect.poll(() => queue(page).getByRole('button', { name: 'Show: cranes (Done)' }).count(), { timeout: 60_000 }).toBe(3);
    const script = new WebSocket(`${studio.url.replace('http', 'ws')}/api/ws?client_id=crane-script`);
    await new Promise((resolve) => script.once('open', resolve));
    script.send(JSON.stringify({ type: 'create_job', task_type: 'text_to_image', params: { prompt: 'a crane of a script', width: 256, height: 256 } }));
    await queue(page).getByRole('button', { name: 'Show: a crane of a script (Done)' }).waitFor();
    script.close();

    await go(page, 'Gallery');
    const tiles = page.getByRole('button', { name: /^Open: / });
    const search = page.getByPlaceholder('Search prompts');
    await search.fill('crane -"of a script" size:<512');
    await expect.poll(() => tiles.count()).toBe(3);
    await search.fill('crane');
    await expect.poll(() => tiles.count()).toBe(5);
    expect(page.url()).toMatch(/#\/gallery\?q=crane$/);
    await page.getByLabel('Order', { exact: true }).selectOption('oldest');
    await expect.poll(() => tiles.first().getAttribute('aria-label')).toBe('Open: a crane of another size');
    await page.getByLabel('Order', { exact: true }).selectOption('newest');
    await page.getByLabel('Size', { exact: true }).selectOption({ label: '512 × 512' });
    await expect.poll(() => tiles.count()).toBe(1);
    await page.getByLabel('Size', { exact: true }).selectOption({ label: 'Any size' });
    await page.getByLabel('Source', { exact: true }).selectOption('crane-script');
    await expect.poll(() => tiles.count()).toBe(1);
    await page.getByLabel('Source', { exact: true }).selectOption({ label: 'Any source' });
    await page.getByLabel('Date', { exact: true }).selectOption({ label: 'Custom range' });
    await page.getByLabel('Last day').fill('2020-01-01');
    await page.getByText('No results.').waitFor();
    await page.getByLabel('Date', { exact: true }).selectOption({ label: 'Today' });
    await expect.poll(() => tiles.count()).toBe(5);

    await tiles.first().click({ modifiers: ['Control'] });
    await tiles.nth(1).click({ modifiers: ['Control'] });
    await page.getByRole('button', { name: 'Add to…' }).click();
    await page.getByLabel('Name', { exact: true }).fill('Long necks');
    await page.keyboard.press('Enter');
    await page.getByText('2 images added to Long necks.').waitFor();
    await page.getByRole('button', { name: 'Clear selection' }).click();
    await page.getByLabel('Albums and tags').selectOption({ label: 'Long necks (2)' });
    await expect.poll(() => tiles.count()).toBe(2);
    await expect.poll(() => decodeURIComponent(page.url())).toContain('#/gallery?q=album:"Long+necks"');
    await tiles.first().click({ modifiers: ['Control'] });
    await page.getByRole('button', { name: 'Remove from Long necks' }).click();
    await expect.poll(() => tiles.count()).toBe(1);
    await page.getByText('1 image removed from Long necks.').waitFor();
    await search.fill('crane');
    await expect.poll(() => tiles.count()).toBe(5);

    await tiles.first().click({ modifiers: ['Control'] });
    await tiles.nth(2).click({ modifiers: ['Shift'] });
    await page.getByText('3 selected').waitFor();
    const zip = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download', exact: true }).click();
    expect((await readFile(await (await zip).path())).subarray(0, 4).toString('latin1')).toBe('PK\x03\x04');
    await tiles.first().click({ modifiers: ['Control'] });
    await page.getByRole('button', { name: 'Compare', exact: true }).click();
    const comparison = page.getByRole('dialog', { name: 'Compare two images' });
    await comparison.getByText('Difference').click();
    expect(await comparison.locator('img').count()).toBe(2);
    await page.keyboard.press('Escape');
    await tiles.first().click({ button: 'right' });
    await page.getByRole('menuitem', { name: 'Star', exact: true }).press('Enter');
    await tiles.first().click({ button: 'right' });
    await page.getByRole('menuitem', { name: 'Unstar' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('menuitem').first().waitFor({ state: 'detached' });
    await page.getByText('2 selected').waitFor();
    await tiles.nth(2).focus();
    await page.keyboard.press('Control+a');
    await page.getByText('5 selected').waitFor();
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByText('5 images moved to the bin.').waitFor();
    await page.getByText('Bin', { exact: true }).click();
    await expect.poll(() => tiles.count()).toBe(5);
    await page.getByRole('button', { name: 'Empty bin' }).click();
    await page.getByRole('button', { name: 'Delete permanently?' }).click();
    await page.getByText('5 images permanently deleted.').waitFor();
    await expect.poll(() => tiles.count()).toBe(0);
  });

  test('replaced text is restored by Ctrl+Z in the box, by Undo and from the history', async () => {
    const page = await visit();
    await make(page, 'a jay to be reused');
    await isFinished(page);
    const undo = page.getByRole('button', { name: 'Undo' });
    await prompt(page).fill('half a sentence');
    await useThese(page);
    expect(await prompt(page).inputValue()).toBe('a jay to be reused');
    await prompt(page).press('Control+z');
    expect(await prompt(page).inputValue()).toBe('half a sentence');
    expect(await undo.count()).toBe(0);
    await prompt(page).press('Control+Shift+z');
    expect(await prompt(page).inputValue()).toBe('a jay to be reused');
    await page.getByRole('button', { name: 'pixel art' }).click();
    await prompt(page).press('Control+z');
    expect(await prompt(page).inputValue()).toBe('a jay to be reused');
    await prompt(page).fill('another half');
    await useThese(page);
    await undo.click();
    expect(await prompt(page).inputValue()).toBe('another half');
    await prompt(page).fill('');
    const recalled: string[] = [];
    for (let step = 0; step < 3; step++) {
      await prompt(page).press('ArrowUp');
      recalled.push(await prompt(page).inputValue());
    }
    expect(recalled).toEqual(expect.arrayContaining(['half a sentence', 'another half']));
  });

  test('an input method keeps its Enter and Escape, and a half-typed style is neither saved nor lost', async () => {
    const page = await visit();
    await page.getByRole('button', { name: 'Add your own style' }).click();
    const field = page.getByPlaceholder('Add your own style');
    await field.fill('shui');
    const press = (key: string, init: object) =>
      field.evaluate((input, [name, more]) => input.dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true, ...more })), [
        key,
        init,
      ] as const);
    await press('Enter', { isComposing: true });
    await press('Enter', { keyCode: 229 });
    await press('Escape', { isComposing: true });
    await prompt(page).focus();
    expect(await field.inputValue()).toBe('shui');
    await field.press('Enter');
    await page.getByRole('button', { name: 'shui', exact: true }).waitFor();
    await page.getByRole('button', { name: 'Delete style: shui' }).click();
  });

  test('the highlight of a long prompt scrolls with its text as soon as it is pasted', async () => {
    const page = await visit();
    await prompt(page).focus();
    await page.keyboard.insertText('a patient fox in deep snow, '.repeat(120));
    await page.locator('mark').waitFor();
    const offset = () =>
      page.locator('mark').evaluate((mark) => {
        const box = document.querySelector('textarea');
        return Math.abs((box?.scrollTop ?? -1) - (mark.parentElement?.scrollTop ?? -2));
      });
    expect(await prompt(page).evaluate((box) => box.scrollTop)).toBeGreaterThan(100);
    expect(await offset()).toBe(0);
    for (const key of ['Control+Home', 'Control+End']) {
      await prompt(page).press(key);
      await page.keyboard.insertText('first and last, ');
      await page.locator('mark').waitFor();
      await expect.poll(offset).toBe(0);
      const [marked, typed] = [(await page.locator('mark').textContent()) ?? '', await prompt(page).inputValue()];
      expect(typed.endsWith(marked)).toBe(true);
    }
  });

  test('Cancel all leaves the jobs of another browser alone, and can be undone', async () => {
    const page = await visit();
    await queue(page).getByRole('button', { name: 'Pause the queue' }).click();
    await queue(page).getByText('Paused.').waitFor();
    const other = await visit();
    const rows = (of: Page, words: string) => queue(of).getByRole('button', { name: words, exact: true });
    await make(page, 'my wren', { count: '3' });
    await make(other, 'your wren', { count: '2' });
    await expect.poll(() => rows(page, 'your wren').count()).toBe(2);
    await queue(page).getByRole('button', { name: 'Cancel mine' }).click();
    await expect.poll(() => rows(page, 'my wren').count()).toBe(0);
    expect(await rows(page, 'your wren').count()).toBe(2);
    await page.getByRole('button', { name: 'Undo' }).click();
    await expect.poll(() => rows(page, 'my wren').count()).toBe(3);
    await queue(page).getByRole('button', { name: 'Cancel everyone’s', exact: true }).click();
    expect(await rows(page, 'your wren').count()).toBe(2);
    await queue(page).getByRole('button', { name: 'Cancel everyone’s images?' }).click();
    await expect.poll(() => rows(other, 'your wren').count()).toBe(0);
    await queue(page).getByRole('button', { name: 'Resume' }).click();
    await queue(page).getByText('Paused.').waitFor({ state: 'hidden' });
  });

  test('the bin shows its images with their age, restores one and deletes another permanently', async () => {
    const page = await visit();
    await make(page, 'finch one');
    await isFinished(page);
    await make(page, 'finch two');
    await stage(page).getByText('finch two').waitFor();
    await isFinished(page);
    await go(page, 'Gallery');
    await page.getByPlaceholder('Search prompts').fill('finch');
    const tiles = page.getByRole('button', { name: /^Open: / });
    // the search is applied once all others are gone
    await expect.poll(() => tiles.count()).toBe(2);
    await tiles.first().focus();
    await page.keyboard.press('Control+a');
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByText('Bin', { exact: true }).click();
    await expect.poll(() => tiles.count()).toBe(2);
    await page.getByText('Deleted now').first().waitFor();
    const shown = (images: Array<SVGElement | HTMLElement>) => images.filter((image) => image instanceof HTMLImageElement && image.naturalWidth > 0).length;
    await expect.poll(() => tiles.locator('img').evaluateAll(shown)).toBe(2);

    await page.getByRole('button', { name: 'Open: finch one' }).click();
    const dialog = page.getByRole('dialog');
    await expect.poll(() => dialog.locator('img').evaluateAll(shown)).toBe(1);
    await dialog.getByRole('button', { name: 'Delete permanently', exact: true }).click();
    await dialog.getByRole('button', { name: 'Delete permanently?' }).click();
    await page.getByText('1 image permanently deleted.').waitFor();
    await dialog.getByText('finch two').waitFor();
    await dialog.getByRole('button', { name: 'Restore' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('All', { exact: true }).click();
    await expect.poll(() => tiles.allTextContents()).toEqual([expect.stringContaining('finch two')]);
  });

  test('Back closes an image and returns to the previous screen, and an address opens its image', async () => {
    const page = await visit();
    await make(page, 'a swift with an address');
    await isFinished(page);
    await go(page, 'Gallery');
    await page.getByRole('button', { name: 'Open: a swift with an address' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    const address = page.url();
    expect(address).toMatch(/#\/gallery\/[0-9a-f]{64}$/);
    await page.goBack();
    await dialog.waitFor({ state: 'detached' });
    await page.goForward();
    await dialog.waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.goBack();
    await stage(page).waitFor();
    const other = await visit();
    await other.goto(address);
    await other.reload();
    await other.getByRole('dialog', { name: 'Image of: a swift with an address' }).waitFor();
  });

  test('the wheel over an image scrolls a page of one column, and zooms with Ctrl', async () => {
    const page = await visit({ viewport: { width: 800, height: 600 } });
    await make(page, 'a tern to scroll past');
    await isFinished(page);
    const image = stage(page).locator('figure img').nth(1);
    const scale = () => image.evaluate((element) => new DOMMatrix(getComputedStyle(element).transform).a);
    const scrollTop = () => page.locator('main').evaluate((main) => main.scrollTop);
    await stage(page).locator('figure').hover();
    const before = await scrollTop();
    await page.mouse.wheel(0, 200);
    await expect.poll(scrollTop).toBeGreaterThan(before);
    expect(await scale()).toBe(1);
    await stage(page).locator('figure').hover();
    await page.keyboard.down('Control');
    await page.mouse.wheel(0, -200);
    await page.keyboard.up('Control');
    await expect.poll(scale).toBeGreaterThan(1);
  });

  test('a star set in one browser shows in another, and so does a move to the bin', async () => {
    const page = await visit();
    await make(page, 'a heron seen by two');
    await isFinished(page);
    const other = await visit();
    await queue(other).getByRole('button', { name: 'Show: a heron seen by two (Done)' }).click();
    await stage(page).getByRole('button', { name: 'Star', exact: true }).click();
    await stage(other).getByRole('button', { name: 'Unstar' }).waitFor();
    await stage(other).getByRole('button', { name: 'Delete' }).click();
    // the stage of the first window moves on to the next image
    await stage(page).getByText('a heron seen by two').waitFor({ state: 'detached' });
  });

  test('the image folder is checked at its field and applies to the next image; another window is notified', async () => {
    const page = await visit();
    const other = await visit();
    for (const one of [page, other]) await go(one, 'Settings');
    const folder = page.getByLabel('Image folder', { exact: true });
    const before = await folder.inputValue();
    await folder.fill('/proc/nowhere');
    await folder.press('Enter');
    await page.getByText('Enter the full path of an existing folder that this app can write to.').waitFor();
    expect(await folder.getAttribute('aria-invalid')).toBe('true');
    // the browser logs the refused call
    const refusals = studio.takeFaults();
    expect(refusals).toEqual([expect.stringContaining('Failed to load resource')]);
    const elsewhere = join(studio.folder, 'elsewhere');
    mkdirSync(elsewhere);
    await folder.fill(elsewhere);
    await folder.press('Enter');
    await page.getByText('Saved.').waitFor();
    await expect.poll(() => other.getByLabel('Image folder', { exact: true }).inputValue()).toBe(elsewhere);
    await go(page, 'Make');
    await make(page, 'a stork elsewhere');
    await isFinished(page);
    expect(readdirSync(elsewhere).filter((name) => name.includes('a-stork-elsewhere'))).toHaveLength(2);
    await go(page, 'Settings');
    const room = page.getByLabel('Storage limit (GB)', { exact: true });
    await room.fill('lots');
    await room.press('Tab');
    await page.getByText(/^Enter a number from 0\.01 to/).waitFor();
    await room.fill('50');
    await room.press('Tab');
    await expect.poll(() => other.getByLabel('Storage limit (GB)', { exact: true }).inputValue()).toBe('50');
    await room.fill('');
    await room.press('Tab');
    await folder.fill(before);
    await folder.press('Enter');
    await expect.poll(() => other.getByLabel('Image folder', { exact: true }).inputValue()).toBe(before);
  });

  test('settings show the machine, the connected devices, and a log with search and download', async () => {
    const page = await visit();
    await go(page, 'Settings');
    const log = page.getByRole('log');
    await log.getByText(/Server listening/).waitFor();
    await page.getByPlaceholder('Search the log').fill('no such line');
    await log.getByText('No matching messages.').waitFor();
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Save' }).click();
    expect(await readFile(await (await download).path(), 'utf8')).toContain('Server listening');
    await page.getByRole('region', { name: 'Other devices' }).getByText('connected').first().waitFor();
    await page.getByText(/^Only this computer can reach the server/).waitFor();
    await page
      .getByRole('region', { name: 'This computer' })
      .getByText(/^engine/)
      .waitFor();
    await page.getByText('Third-party software and licences').click();
    await page.getByText('BSD 3-Clause License').first().waitFor();
  });

  test('a server that comes back as another version is reported, with a button that reloads the page', async () => {
    const page = await visit();
    await queue(page).waitFor();
    await page.route('**/api/info', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: { ...(await response.json()), version: '99.0.0' } });
    });
    await go(page, 'Settings');
    await page.getByText('The page and the server have different versions.').waitFor();
    await page.unrouteAll({ behavior: 'wait' });
    await page.getByRole('button', { name: 'Reload page' }).click();
    await page.getByText('The page and the server have different versions.').waitFor({ state: 'detached' });
  });
});

describe.skipIf(noBrowser !== null)('an engine that cannot run', () => {
  test('is reported with what to do', async () => {
    const studio = new WindowStudio({ stepMs: 5, always: 'crash@1' });
    await studio.start();
    try {
      const { page } = await studio.visit();
      await make(page, 'nothing comes of this', { count: '2' });
      await page.getByText(/^The engine keeps crashing/).waitFor();
      expect(await prompt(page).inputValue()).toBe('nothing comes of this');
    } finally {
      await studio.close();
    }
  });
});

describe.skipIf(noBrowser !== null)('a disk that is full', () => {
  test('is reported with what to do, keeps the text, and is cleared once there is space again', async (context) => {
    needsMount(context);
    const studio = new WindowStudio({ stepMs: 5 });
    await studio.start();
    try {
      const full = mkdtempSync(join(tmpdir(), 'full-'));
      // after the disk is unmounted: cleanups run in reverse order
      context.onTestFinished(() => rmSync(full, { recursive: true }));
      new SmallDisk(full, 'size=1m');
      const settings = await (await fetch(`${studio.url}/api/settings`)).json();
      const goTo = (folder: string) =>
        fetch(`${studio.url}/api/settings`, {
          method: 'PUT',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ outputs_folder: folder }),
        });
      expect((await goTo(full)).status).toBe(200);
      const { page, faults } = await studio.visit();
      await make(page, 'no room for this');
      await page.getByText(/^The disk is full\./).waitFor();
      expect(await prompt(page).inputValue()).toBe('no room for this');
      await goTo(settings.outputs_folder);
      await prompt(page).press('Control+Enter');
      await isFinished(page);
      await page.getByText(/^The disk is full\./).waitFor({ state: 'detached' });
      expect(faults).toEqual([]);
    } finally {
      await studio.close();
    }
  });
});

describe.skipIf(noBrowser !== null)('the window on another machine, behind https', () => {
  test('opens with the key, passes it on by address and QR code, and copies programs that run as pasted', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'door-'));
    let port = 0;
    const door = await openForeignDoor(folder, () => port);
    const studio = new WindowStudio({ stepMs: 10 }, ['--allow-origin', door.origin, '--host', '0.0.0.0']);
    await studio.start();
    port = studio.port;
    try {
      const key = (await readFile(join(studio.folder, 'access-key'), 'utf8')).trim();
      const visitor = { ignoreHTTPSErrors: true, permissions: ['clipboard-read', 'clipboard-write'] };
      const { page, faults } = await studio.visit(visitor, `${door.origin}/?token=${key}`);
      // the key leaves the address, and the window adds its screen
      await page.waitForURL(`${door.origin}/#/make`);
      await make(page, 'a fox behind a door');
      await isFinished(page);
      const copied = async (item: string) => {
        await stage(page).getByRole('button', { name: 'Copy' }).click();
        await page.getByRole('button', { name: item, exact: true }).click();
        await page.getByText('Copied.').first().waitFor();
        return page.evaluate(() => navigator.clipboard.readText());
      };
      const env = { ...process.env, NODE_EXTRA_CA_CERTS: door.certificate, SSL_CERT_FILE: door.certificate, CURL_CA_BUNDLE: door.certificate };
      const javaScript = await copied('JavaScript program');
      expect(javaScript).toContain(`wss://${new URL(door.origin).host}/api/ws?token=${key}`);
      const printed = await run(process.execPath, ['-e', javaScript], { env });
      expect(printed.stdout).toMatch(/-upscaled\.png\?token=\S+\n$/);
      await run('bash', ['-e', '-c', await copied('curl commands')], { cwd: folder, env });
      const python = await run('python3', ['-c', await copied('Python program')], { cwd: folder, env });
      for (const name of python.stdout.trim().split('\n').slice(-2)) expect((await readFile(join(folder, name))).subarray(1, 4).toString()).toBe('PNG');

      await go(page, 'Settings');
      const network = page.getByRole('region', { name: 'Other devices' });
      await network.getByRole('img', { name: /^QR code of http:/ }).waitFor();
      await network.getByRole('button', { name: 'Show the key' }).click();
      await network.getByText(key, { exact: true }).waitFor();
      await network.getByText('the network', { exact: true }).first().waitFor();
      // Chromium runs no service worker behind a certificate that it does not know
      expect(faults.filter((fault) => fault !== 'console: An SSL certificate error occurred when fetching the script.')).toEqual([]);
    } finally {
      await studio.close();
      door.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** The PNG with a text entry behind its header. Source: https://www.w3.org/TR/png-3/#11tEXt */
function withText(png: Buffer, keyword: string, text: string): Buffer {
  const HEADER_END = 33;
  const body = Buffer.from(`tEXt${keyword}\0${text}`, 'latin1');
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(body.length - 4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([png.subarray(0, HEADER_END), length, body, checksum, png.subarray(HEADER_END)]);
}
