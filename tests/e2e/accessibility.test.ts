import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type axe from 'axe-core';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { queue } from '../../bench/load/sockets.ts';
import { noBrowser } from './browser.ts';
import { coloursShown, focusNow, markStops, missedStops, movements, outOfReach, passStop } from './page-checks.ts';
import { go, openAdvanced } from './window-page.ts';
import { WindowStudio } from './window-studio.ts';

if (noBrowser !== null) console.log(`accessibility tests skipped: ${noBrowser}`);

const axeSource = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const LONG = `${'owl'.repeat(60)} and a very patient fox in the snow`;
const STEPS = 9;

declare global {
  interface Window {
    axe: typeof axe;
    said: string[];
  }
}

describe.skipIf(noBrowser !== null)('the window for everybody', () => {
  let studio: WindowStudio;

  beforeAll(async () => {
    // the first image and its retry fail: an error to check
    studio = new WindowStudio({ stepMs: 40, faults: ['oom@2', 'oom@2'] });
    await studio.start();
  });
  afterAll(() => studio.close());
  afterEach(async () => void (await studio.endVisits()));

  const visit = async (options: BrowserContextOptions = {}): Promise<Page> => (await studio.visit({ reducedMotion: 'reduce', ...options })).page;

  const prompt = (page: Page) => page.locator('form textarea');
  const isFinished = (page: Page) => page.getByRole('button', { name: /^Compare/, disabled: false }).waitFor();
  const isFinishedAfter = async (page: Page, words: string) => {
    await prompt(page).fill(words);
    await prompt(page).press('Control+Enter');
    await isFinished(page);
  };

  test('axe finds no violations on any screen, in both themes', async () => {
    const page = await visit();
    await page.evaluate(axeSource);
    const found: string[] = [];
    const look = async (screen: string) => {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        await page.evaluate(coloursShown, colorScheme);
        const run = () => page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
        let { violations } = await run();
        // what appeared during the check is checked again
        if (violations.length > 0) ({ violations } = await run());
        found.push(...violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${screen}, ${colorScheme}: ${id} ${html.slice(0, 200)}`)));
      }
    };

    await look('make, empty');
    await openAdvanced(page);
    await page.getByLabel('Steps', { exact: true }).fill('99');
    await page.getByRole('button', { name: 'About: Steps' }).click();
    await page.getByRole('button', { name: 'Make image' }).click();
    await look('make, wrong values');
    await page.getByLabel('Steps', { exact: true }).fill(String(STEPS));
    await prompt(page).fill('an image that fails');
    await prompt(page).press('Control+Enter');
    await page.getByText('This image could not be made').waitFor();
    await look('make, failed');

    await queue(studio.port, 'pause');
    await page.getByLabel('Images', { exact: true }).fill('6');
    await prompt(page).fill(LONG);
    await prompt(page).press('Control+Enter');
    await page
      .getByText(/^(Next|Position \d+)$/)
      .first()
      .waitFor();
    await look('make, under way, queue paused');
    await page.getByRole('button', { name: 'Cancel all' }).click();
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByLabel('Images', { exact: true }).fill('1');
    await isFinishedAfter(page, 'an image for everybody');
    await look('make, finished');
    for (const menu of ['Copy', 'Download']) {
      await page.getByRole('button', { name: menu, exact: true }).click();
      await look(`make, menu ${menu}`);
      await page.keyboard.press('Escape');
    }
    for (const closed of await page.locator('form details summary, section details summary').all()) await closed.click();
    await look('make, everything open');

    await go(page, 'Gallery');
    const tiles = page.getByRole('button', { name: /^Open: / });
    await tiles.first().waitFor();
    await look('gallery');
    await tiles.first().press('x');
    await look('gallery, picked');
    await tiles.first().press('x');
    await tiles.first().press('Enter');
    await page
      .getByRole('dialog')
      .getByRole('button', { name: /^Compare/, disabled: false })
      .waitFor();
    await look('image');
    await page.getByRole('dialog').getByRole('button', { name: 'Details' }).click();
    await page.getByRole('dialog', { name: 'Image details' }).getByText('an image for everybody').waitFor();
    await look('recipe');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    await tiles.first().press('Delete');
    await page.getByText('Image moved to the bin.').waitFor();
    await look('gallery, empty, with a notice');
    await page.getByText('Bin', { exact: true }).click();
    await tiles.first().waitFor();
    await look('bin');
    await page.getByPlaceholder('Search prompts').fill('zzz');
    await page.getByText('No results.').waitFor();
    await look('gallery, nothing found');

    await go(page, 'Models');
    await page.getByText('RealESRGAN_x4plus').waitFor();
    await look('models');
    await go(page, 'Settings');
    await page.getByRole('log').waitFor();
    await look('settings');
    await studio.stop();
    await page.getByText('Can’t reach the server.').waitFor();
    await look('server away');
    await studio.start();
    expect(found).toEqual([]);
  });

  test('Tab reaches everything on every screen, and the focus is always visible', async () => {
    const page = await visit();
    await isFinishedAfter(page, 'an image that Tab goes through');
    const through = async (screen: string) => {
      const stops = await page.evaluate(markStops);
      await page.evaluate(() => (document.activeElement instanceof HTMLElement ? document.activeElement.blur() : undefined));
      const unseen: string[] = [];
      let missed: string[] = [];
      // a few more than at first: a list may appear in the meantime
      for (let stop = 0; stop < stops + 2 || (missed.length > 0 && stop < 2 * stops); stop++) {
        await page.keyboard.press('Tab');
        const focus = await page.evaluate(focusNow);
        if (focus !== null && !focus.isSeen) unseen.push(focus.name);
        await page.evaluate(passStop);
        missed = await page.evaluate(missedStops);
      }
      expect({ screen, unseen, missed }).toEqual({ screen, unseen: [], missed: [] });
    };
    await through('make');
    await go(page, 'Gallery');
    await page
      .getByRole('button', { name: /^Open: / })
      .first()
      .waitFor();
    await through('gallery');
    await page
      .getByRole('button', { name: /^Open: / })
      .first()
      .press('Enter');
    await page
      .getByRole('dialog')
      .getByRole('button', { name: /^Compare/, disabled: false })
      .waitFor();
    await through('image');
    await page.keyboard.press('Escape');
    await go(page, 'Settings');
    await page.getByRole('log').waitFor();
    await through('settings');
  });

  test('an image is generated, opened, starred, deleted and restored without a pointer', async () => {
    const page = await visit();
    await prompt(page).focus();
    await page.keyboard.type('made by keys alone');
    await page.keyboard.press('Control+Enter');
    await isFinished(page);
    const tabTo = async (name: RegExp) => {
      for (let stop = 0; stop < 80; stop++) {
        await page.keyboard.press('Tab');
        const focus = await page.evaluate(focusNow);
        if (focus !== null && name.test(focus.name)) return;
      }
      throw new Error(`Tab does not reach ${name}`);
    };
    await tabTo(/Gallery/);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: /^Open: made by keys/ }).waitFor();
    await tabTo(/Open: made by keys alone/);
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    await dialog.getByRole('button', { name: /^Compare/, disabled: false }).waitFor();
    await tabTo(/Compare original/);
    await page.keyboard.press('Enter');
    await tabTo(/Position of the dividing line/);
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    expect((await page.evaluate(focusNow))?.name).toMatch(/Open: made by keys alone/);
    await page.keyboard.press('Delete');
    await page.getByText('Image moved to the bin.').waitFor();
    await tabTo(/Undo/);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: /^Open: made by keys/ }).waitFor();
  });

  test('a screen reader announces the stages of an image, not every step', async () => {
    const page = await visit();
    await page.evaluate(() => {
      window.said = [];
      new MutationObserver((changes) => {
        for (const { target } of changes) {
          const region = (target instanceof Element ? target : target.parentElement)?.closest('[aria-live], [role=status], [role=alert]');
          const words = region?.textContent?.trim() ?? '';
          if (words !== '' && window.said.at(-1) !== words) window.said.push(words);
        }
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    await isFinishedAfter(page, 'an image to be heard');
    expect(await page.evaluate(() => window.said)).toEqual(['Started: an image to be heard', 'Image drawn, now upscaling.', 'Image finished.']);
  });

  test('nothing moves with reduced motion', async () => {
    const moving = await visit({ reducedMotion: 'no-preference' });
    const still = await visit();
    const seen = { moving: new Set<string>(), still: new Set<string>() };
    for (const page of [moving, still]) {
      await prompt(page).fill('an image that moves');
      await prompt(page).press('Control+Enter');
    }
    await expect
      .poll(async () => {
        for (const name of await moving.evaluate(movements)) seen.moving.add(name);
        for (const name of await still.evaluate(movements)) seen.still.add(name);
        return seen.moving.size;
      })
      .toBeGreaterThan(0);
    await isFinished(still);
    for (const name of await still.evaluate(movements)) seen.still.add(name);
    expect([...seen.still]).toEqual([]);
  });

  test.each([
    { name: '200 % zoom of 1440 x 900', viewport: { width: 720, height: 450 }, deviceScaleFactor: 2 },
    { name: 'a phone', viewport: { width: 390, height: 844 }, deviceScaleFactor: 3 },
  ])('$name: nothing is cut and everything is in reach', async ({ viewport, deviceScaleFactor }) => {
    const page = await visit({ viewport, deviceScaleFactor });
    const faults: string[] = [];
    const look = async (screen: string) => faults.push(...(await page.evaluate(outOfReach)).map((fault) => `${screen}: ${fault}`));
    await look('make, empty');
    await isFinishedAfter(page, LONG);
    await look('make, finished');
    await go(page, 'Gallery');
    const tiles = page.getByRole('button', { name: /^Open: / });
    await tiles.first().waitFor();
    await look('gallery');
    await tiles.first().press('Enter');
    await page
      .getByRole('dialog')
      .getByRole('button', { name: /^Compare/, disabled: false })
      .waitFor();
    await look('image');
    await page.keyboard.press('Escape');
    await go(page, 'Settings');
    await page.getByRole('log').waitFor();
    await look('settings');
    expect(faults).toEqual([]);
  });
});
