import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Page } from 'playwright-core';
import { noBrowser } from '../tests/e2e/browser.ts';
import { WindowStudio } from '../tests/e2e/window-studio.ts';

/** `npm run screenshots`: every screen of the window, in both themes, both languages and two sizes, into `out/screenshots`. */

const folder = resolve(import.meta.dirname, '../out/screenshots');
const sizes = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
const languages = { en: 'en-US', zh: 'zh-CN' };
const LONG_WORDS = { en: 'a very patient snowowlsnowowlsnowowlsnowowlsnowowlsnowowl ', zh: '雪地里一只非常非常耐心的白色猫头鹰，' };

if (noBrowser !== null) throw new Error(noBrowser);
mkdirSync(folder, { recursive: true });
const studio = new WindowStudio({ stepMs: 120 });
await studio.start();
try {
  for (const [size, viewport] of Object.entries(sizes)) {
    for (const theme of ['light', 'dark'] as const) {
      for (const [language, locale] of Object.entries(languages)) {
        const { page } = await studio.visit({ viewport, locale, colorScheme: theme });
        const shoot = async (screen: string) => {
          await page.screenshot({ path: join(folder, `${screen}-${size}-${theme}-${language}.png`) });
        };
        await shootMakeScreen(page, shoot, language === 'zh' ? LONG_WORDS.zh : LONG_WORDS.en);
        await shootOtherScreens(page, shoot);
        await page.context().close();
      }
    }
  }
} finally {
  await studio.close();
}
console.log(`screenshots in ${folder}`);

/** Empty, wrong, under way, finished and failed. */
async function shootMakeScreen(page: Page, shoot: (screen: string) => Promise<void>, longWords: string): Promise<void> {
  const box = page.locator('textarea');
  await page.locator('form').waitFor();
  await shoot('make-empty');
  await page.locator('input[inputmode=numeric]').first().fill('99');
  await page.locator('button[type=submit]').click();
  await shoot('make-wrong');
  await page.locator('input[inputmode=numeric]').first().fill('9');
  await box.fill(longWords.repeat(6));
  await page.locator('input[inputmode=numeric]').nth(1).fill('3');
  await page.locator('button[type=submit]').click();
  await page.locator('img[src^="data:image/"]').first().waitFor();
  await page.locator('[role=progressbar]').first().scrollIntoViewIfNeeded();
  await shoot('make-running');
  await page.locator('figure input[type=range]').waitFor({ state: 'attached' });
  await page.locator('figure').scrollIntoViewIfNeeded();
  await shoot('make-finished');
  await page.locator('[aria-expanded=false]').last().click();
  await shoot('make-menu');
  await page.keyboard.press('Escape');
}

async function shootOtherScreens(page: Page, shoot: (screen: string) => Promise<void>): Promise<void> {
  const screens = page.getByRole('navigation').getByRole('button');
  await screens.nth(1).click();
  const tiles = page.locator('[data-index]');
  await tiles.first().waitFor();
  await page.waitForLoadState('networkidle');
  await shoot('gallery');
  await tiles.first().press('x');
  await shoot('gallery-picked');
  await tiles.first().press('x');
  await tiles.first().press('Enter');
  await page.locator('dialog input[type=range]').waitFor({ state: 'attached' });
  await shoot('picture');
  await page.keyboard.press('Escape');
  await page.locator('input[type=search]').fill('zzz');
  await page.locator('p.text-lg').waitFor();
  await shoot('gallery-nothing-found');
  await screens.nth(2).click();
  await page.locator('dl').waitFor();
  await shoot('settings');
}
