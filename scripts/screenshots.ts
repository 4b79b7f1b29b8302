import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import sharp from 'sharp';
import { jobPageSchema } from '#shared/domain/job-record.ts';
import { HeadlessServer } from '../bench/harness/headless-server.ts';
import type { Translation } from '../src-renderer/i18n/en.ts';
import { en } from '../src-renderer/i18n/en.ts';
import { zh } from '../src-renderer/i18n/zh.ts';
import { demoExamples } from '../src-renderer/store/demo-examples.ts';
import { launchBrowser, noBrowser, prepareVisit } from '../tests/e2e/browser.ts';
import { coloursShown } from '../tests/e2e/page-checks.ts';
import { WindowStudio } from '../tests/e2e/window-studio.ts';

/**
 * `npm run screenshots`: every screen of the window in both themes, both languages and two sizes, into `out/screenshots`. Images and progress come from the
 * program with its bundled checkpoint; failures and a stopped server come from one with a fake model. The README's images go into
 * `docs/images`, among them an animation of an image being made; `npm run screenshots -- readme` makes only these.
 */

const languages = { en: { texts: en, locale: 'en-US' }, zh: { texts: zh, locale: 'zh-CN' } } as const;
const sizes = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
const LONG = {
  en: 'a very patient snowowlsnowowlsnowowlsnowowlsnowowlsnowowl with a scarf on a branch, '.repeat(6),
  zh: '雪地里一只非常非常耐心的白色猫头鹰，戴着红色的围巾，坐在树枝上，'.repeat(6),
};
/** Between two frames of the animation. */
const FRAME_MS = 200;
const subjects = ['an orange cat', 'a blue owl', 'a red fox', 'a white rabbit', 'a black penguin', 'a yellow robot', 'a green sailboat', 'a purple rocket'];
/** A large image takes long on a busy machine. */
const WAIT_MS = 300_000;
const places = ['in a meadow at noon, digital art', 'in the snow at sunset, digital art', 'on a beach at night, digital art', 'in space at night, pixel art'];

if (noBrowser !== null) throw new Error(noBrowser);
const dataDir = mkdtempSync(join(tmpdir(), 'screenshots-'));
const server = await HeadlessServer.start(dataDir);
const browser = await launchBrowser();
try {
  await server.make(
    places.flatMap((place, row) =>
      subjects.map((subject, column) => ({
        prompt: `${subject} ${place}`,
        width: 256,
        height: 256,
        steps: 9,
        guidance_scale: 0,
        seed: 30 + row * subjects.length + column,
        model_type: 'uint4' as const,
      })),
    ),
  );
  await drawSamples();
  await shootReadme();
  await recordMaking();
  if (process.argv[2] !== 'readme') await shootAll();
} finally {
  await browser.close();
  await server.stop();
  rmSync(dataDir, { recursive: true, force: true });
}

type Shoot = (screen: string) => Promise<void>;

async function shootAll(): Promise<void> {
  const folder = resolve(import.meta.dirname, '../out/screenshots');
  mkdirSync(folder, { recursive: true });
  for (const [size, viewport] of Object.entries(sizes)) {
    for (const [language, { texts, locale }] of Object.entries(languages)) {
      const shootOn =
        (page: Page): Shoot =>
        async (screen) => {
          for (const colorScheme of ['light', 'dark'] as const) {
            await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
            await page.evaluate(coloursShown, colorScheme);
            await page.screenshot({ path: join(folder, `${screen}-${size}-${colorScheme}-${language}.png`) });
          }
        };
      const long = language === 'zh' ? LONG.zh : LONG.en;
      const { page } = await prepareVisit(browser, server.url, { viewport, locale, reducedMotion: 'reduce' });
      page.setDefaultTimeout(WAIT_MS);
      await page.goto(server.url);
      await shootMake(page, texts, long, shootOn(page));
      await shootGallery(page, texts, shootOn(page));
      await shootSettings(page, texts, shootOn(page));
      await page.context().close();
      await shootTroubles(viewport, locale, texts, shootOn);
    }
  }
  console.log(`screenshots in ${folder}`);
}

async function nav(page: Page, name: string): Promise<void> {
  await page.getByRole('navigation').getByRole('button', { name }).click();
}

function field(page: Page, name: string): Locator {
  return page.getByLabel(name, { exact: true });
}

async function isFinished(page: Page, texts: Translation): Promise<void> {
  await page.getByRole('button', { name: texts.view.compare, disabled: false }).waitFor();
}

/** Waits until every tile of the gallery shows its image. */
async function areShown(page: Page): Promise<void> {
  await page.locator('[data-index] img').first().waitFor();
  await page.waitForFunction(() => [...document.querySelectorAll('[data-index]')].every((tile) => tile.querySelector('img')?.complete === true));
}

async function make(page: Page, prompt: string): Promise<void> {
  await page.locator('form textarea').fill(prompt);
  await page.locator('form textarea').press('Control+Enter');
}

/** Form states: empty, invalid, long, running with others waiting, finished, menus. */
async function shootMake(page: Page, texts: Translation, long: string, shoot: Shoot): Promise<void> {
  await page.locator('form').waitFor();
  await page.waitForLoadState('networkidle');
  await shoot('make-empty');
  await page.getByText(texts.options.more, { exact: true }).click();
  await field(page, texts.options.steps).fill('99');
  await page.locator('button[type=submit]').click();
  await page.getByRole('button', { name: texts.field.about.replace('{{label}}', texts.options.steps) }).click();
  await shoot('make-wrong');
  await page.getByRole('button', { name: texts.field.about.replace('{{label}}', texts.options.steps) }).click();
  await field(page, texts.options.steps).fill('9');

  await page.getByText('1024', { exact: true }).click();
  await field(page, texts.options.count).fill('4');
  await make(page, long);
  await page.locator('img[src^="data:image/"]').first().waitFor();
  await page.getByRole('progressbar').first().scrollIntoViewIfNeeded();
  await shoot('make-running');
  await page.getByRole('button', { name: texts.queue.clear }).click();
  await page.getByText('256', { exact: true }).click();
  await field(page, texts.options.count).fill('1');
  await make(page, texts.example.penguin);
  await isFinished(page, texts);
  await page.locator('figure').scrollIntoViewIfNeeded();
  await page.waitForLoadState('networkidle');
  await shoot('make-finished');
  for (const [menu, label] of [
    ['copy', texts.view.copy],
    ['download', texts.view.download],
  ] as const) {
    await page.getByRole('button', { name: label, exact: true }).click();
    await shoot(`make-menu-${menu}`);
    await page.keyboard.press('Escape');
  }
  for (const closed of await page.locator('details:not([open]) summary').all()) await closed.click();
  await page.locator('details').last().scrollIntoViewIfNeeded();
  await shoot('make-options-open');
}

async function shootGallery(page: Page, texts: Translation, shoot: Shoot): Promise<void> {
  await nav(page, texts.nav.gallery);
  const tiles = page.locator('[data-index]');
  await areShown(page);
  await shoot('gallery');
  await tiles.first().press('s');
  await tiles.nth(1).press('x');
  await tiles.nth(2).press('x');
  await shoot('gallery-picked');
  await tiles.nth(1).press('x');
  await tiles.nth(2).press('x');
  await tiles.first().press('s');
  await tiles.first().press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: texts.view.compare, disabled: false }).waitFor();
  await page.waitForLoadState('networkidle');
  await shoot('image');
  await page.keyboard.press('Escape');
  await tiles.first().press('Delete');
  await page.getByText(texts.notice.deleted_one).waitFor();
  await page.getByText(texts.gallery.bin, { exact: true }).first().click();
  await page.waitForLoadState('networkidle');
  await shoot('gallery-bin');
  await page.getByRole('button', { name: texts.notice.undo }).click();
  await page.getByText(texts.gallery.all, { exact: true }).first().click();
  await page.getByPlaceholder(texts.gallery.search).fill('zzz');
  await page.getByText(texts.gallery.nothingFound).waitFor();
  await shoot('gallery-nothing-found');
  await page.getByPlaceholder(texts.gallery.search).fill('');
  await tiles.first().waitFor();
}

/** The settings are longer than any screen: one shot for each screenful. */
async function shootSettings(page: Page, texts: Translation, shoot: Shoot): Promise<void> {
  await nav(page, texts.nav.models);
  await page.getByText('RealESRGAN_x4plus').waitFor();
  await shoot('models');
  await nav(page, texts.nav.settings);
  const isAtEnd = () => page.locator('main').evaluate((main) => main.scrollTop + main.clientHeight >= main.scrollHeight - 1);
  await shoot('settings-1');
  for (let part = 2; !(await isAtEnd()); part++) {
    await page.locator('main').evaluate((main) => main.scrollBy({ top: main.clientHeight - 60, behavior: 'instant' }));
    await shoot(`settings-${part}`);
  }
}

/** No images yet, a failed one, an error notice, a file dragged over the window, the server unreachable. */
async function shootTroubles(viewport: { width: number; height: number }, locale: string, texts: Translation, shootOn: (page: Page) => Shoot): Promise<void> {
  const studio = new WindowStudio({ stepMs: 20, faults: ['oom@2', 'oom@2'] });
  await studio.start();
  try {
    const { page } = await studio.visit({ viewport, locale, reducedMotion: 'reduce' });
    const shoot = shootOn(page);
    await nav(page, texts.nav.gallery);
    await page.getByText(texts.gallery.empty).waitFor();
    await shoot('gallery-empty');
    await nav(page, texts.nav.make);
    await make(page, texts.example.sailboat);
    await page.getByText(texts.stage.failed).waitFor();
    await page.getByText(texts.stage.failed).scrollIntoViewIfNeeded();
    await shoot('make-failed');
    const bare = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    await page.locator('input[type=file]').first().setInputFiles({ name: 'bare.png', mimeType: 'image/png', buffer: bare });
    await page.getByText(texts.error.no_recipe).waitFor();
    await shoot('notice');
    await page.evaluate(() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([], 'image.png'));
      window.dispatchEvent(new DragEvent('dragover', { dataTransfer, bubbles: true, cancelable: true }));
    });
    await page.getByText(texts.drop.title).waitFor();
    await shoot('drop');
    await page.evaluate(() => window.dispatchEvent(new DragEvent('dragleave')));
    await studio.stop();
    await page.getByText(texts.connection.lost).waitFor();
    await shoot('server-away');
  } finally {
    await studio.close();
  }
}

/** The window's six examples side by side, made by the bundled checkpoint at its clearest size. */
async function drawSamples(): Promise<void> {
  const settings = { width: 512, height: 512, steps: 9, guidance_scale: 0, model_type: 'uint4' as const };
  const params = demoExamples.map(({ name, seed }) => ({ ...settings, prompt: en.example[name], seed }));
  await server.make(params);
  const { jobs } = jobPageSchema.parse(await (await fetch(`${server.url}/api/jobs?width=512&limit=100`)).json());
  const tiles = params.map(async ({ prompt, seed }) => {
    const made = jobs.find((job) => job.task_type === 'text_to_image' && job.params.prompt === prompt && job.params.seed === seed);
    const image = await fetch(`${server.url}/api/image/${made?.result?.filename}`);
    return sharp(Buffer.from(await image.arrayBuffer()))
      .resize(256)
      .toBuffer();
  });
  await sharp({ create: { width: 256 * params.length, height: 256, channels: 3, background: 'white' } })
    .composite((await Promise.all(tiles)).map((input, i) => ({ input, left: 256 * i, top: 0 })))
    .png({ palette: true, quality: 95, effort: 10 })
    .toFile(resolve(import.meta.dirname, '../docs/images/storybook.png'));
}

/** A batch and the gallery, as the README shows them; palette PNGs, so that each stays small. */
async function shootReadme(): Promise<void> {
  const folder = resolve(import.meta.dirname, '../docs/images');
  const { page } = await prepareVisit(browser, server.url, { viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' });
  page.setDefaultTimeout(WAIT_MS);
  const shoot = async (name: string) => {
    await page.waitForLoadState('networkidle');
    await sharp(await page.screenshot())
      .png({ palette: true, quality: 90, effort: 10 })
      .toFile(join(folder, `${name}.png`));
  };
  await page.goto(server.url);
  await field(page, en.options.count).fill('4');
  await make(page, en.example.cat);
  await page.getByText(en.batch.done.replace('{{done}}', '4').replace('{{count}}', '4')).waitFor();
  await page.mouse.move(0, 0);
  await page.locator('form textarea').blur();
  await shoot('window-make');
  await page.emulateMedia({ colorScheme: 'dark' });
  await nav(page, en.nav.gallery);
  await areShown(page);
  await shoot('window-gallery');
  console.log(`window-make.png and window-gallery.png in ${folder}`);
}

/** From the prompt to the finished image and the comparison, as an animated WebP. Frames in which nothing changes become one. */
async function recordMaking(): Promise<void> {
  const { page } = await prepareVisit(browser, server.url, { viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' });
  page.setDefaultTimeout(WAIT_MS);
  await page.goto(server.url);
  await page.getByRole('button', { name: en.notice.dismiss }).click();
  const frames: { png: Buffer; shownMs: number }[] = [];
  const shoot = async (shownMs: number) => {
    const png = await sharp(await page.screenshot())
      .resize(960)
      .png()
      .toBuffer();
    const last = frames.at(-1);
    if (last?.png.equals(png)) last.shownMs += shownMs;
    else frames.push({ png, shownMs });
  };
  const prompt = page.locator('form textarea');
  for (const part of 'a fox wearing a scarf|, in the snow| at sunset|, digital art'.split('|')) {
    await prompt.pressSequentially(part);
    await shoot(2 * FRAME_MS);
  }
  await page.locator('button[type=submit]').click();
  const finished = isFinished(page, en).then(() => true);
  while (!(await Promise.race([finished, page.waitForTimeout(FRAME_MS).then(() => false)]))) await shoot(FRAME_MS);
  await page.waitForLoadState('networkidle');
  await shoot(1500);
  await page.getByRole('button', { name: en.view.compare }).click();
  await shoot(3000);
  await page.context().close();
  const file = resolve(import.meta.dirname, '../docs/images/making-an-image.webp');
  const { size } = await sharp(
    frames.map(({ png }) => png),
    { join: { animated: true } },
  )
    .webp({ quality: 75, effort: 5, loop: 0, delay: frames.map(({ shownMs }) => shownMs) })
    .toFile(file);
  console.log(`${file}: ${frames.length} frames, ${size} bytes`);
}
