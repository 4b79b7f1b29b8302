import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { programDir } from '#main/lib/program-files.ts';
import { programVersion } from '#main/lib/program-version.ts';
import { launchBrowser, noBrowser, prepareVisit, type Visit } from '../tests/e2e/browser.ts';
import { HeadlessServer } from './headless-server.ts';
import { fillGallery } from './large-gallery.ts';
import { machineName } from './machine.ts';
import type { WindowResults } from './results.ts';
import { resultsFile } from './results-file.ts';
import { inputTypes, installProbe, readInputs, readLoadTimes, timePicturesAt, watchRows } from './window-probe.ts';
import { windowVerdicts } from './window-verdicts.ts';

const PICTURES = 25_000;
const SAMPLES = 12;
const ROUNDS = 5;
const WATCHED_MS = 10_000;
const SCROLLED_MS = 10_000;
/** What keeps both cores busy: pictures of this size, one after the other, each enlarged to 2048 x 2048. */
const LOAD = { prompt: 'a lighthouse on a beach at night, digital art', width: 512, height: 512, steps: 9, guidance_scale: 0, model_type: 'uint4' as const };
const TYPED = 'a patient owl with a red scarf on a branch in the snow, ';

/**
 * How the window feels, in Chromium against the program as `start.sh` runs it, while it draws one picture after the other on all cores: loading, typing and
 * clicking, progress, scrolling through 25,000 pictures whose thumbnails are not made yet.
 */
export async function measureWindow(): Promise<void> {
  if (noBrowser !== null) throw new Error(noBrowser);
  const dataDir = await mkdtemp(join(tmpdir(), 'bench-window-'));
  let server = await HeadlessServer.start(dataDir);
  let browser: Browser | null = null;
  try {
    const { prompt: _same, ...shape } = LOAD;
    await server.make(Array.from({ length: SAMPLES }, (_, seed) => ({ ...shape, width: 256, height: 256, seed, prompt: `${TYPED}number ${seed}` })));
    await server.stop();
    await fillGallery(dataDir, join(dataDir, 'outputs'), PICTURES);
    server = await HeadlessServer.start(dataDir);
    browser = await launchBrowser();
    const stopLoad = await server.keepBusy(LOAD, 2);

    const results: WindowResults = {
      date: new Date().toISOString().slice(0, 10),
      machine: machineName(),
      version: programVersion(),
      browser: `Chromium ${browser.version()}`,
      pictures: PICTURES,
      firstPaintMs: [],
      interactiveMs: [],
      inputToPaintP95Ms: [],
      longestProgressTaskMs: [],
      longestBlankRowMs: [],
      longestGalleryTaskMs: [],
      picturesAfterJumpMs: [],
      bundleGzipBytes: await bundleGzipBytes(),
      policy: ((await fetch(server.url)).headers.get('content-security-policy') ?? '').replaceAll(/'nonce-[^']+'/g, "'nonce-…'"),
      faults: [],
    };
    for (let round = 0; round < ROUNDS; round++) {
      const visit = await prepareVisit(browser, server.url);
      await measureLoading(visit.page, server.url, results);
      await measureProgress(visit.page, results);
      await measureInput(visit.page, results);
      await measureGallery(visit.page, results);
      results.faults.push(...(await faultsOf(visit)));
      await cancelRest(visit.page);
      await visit.page.context().close();
    }
    await stopLoad();
    await mkdir(join(programDir, 'bench/results'), { recursive: true });
    await writeFile(resultsFile('window'), `${JSON.stringify(results, null, 2)}\n`);
    const verdicts = windowVerdicts(results);
    for (const { measure, value, limit, isMet } of verdicts) console.log(`${isMet ? 'met  ' : 'SHORT'} ${measure}: ${value} (${limit})`);
    if (verdicts.some(({ isMet }) => !isMet)) process.exitCode = 1;
  } finally {
    await browser?.close();
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Everything that `index.html` names; what is loaded on demand is not. */
async function bundleGzipBytes(): Promise<number> {
  const folder = join(programDir, 'out/renderer');
  const html = await readFile(join(folder, 'index.html'), 'utf8');
  const named = (await readdir(join(folder, 'assets'))).filter((file) => html.includes(file));
  const files = [join(folder, 'index.html'), ...named.map((file) => join(folder, 'assets', file))];
  const sizes = await Promise.all(files.map(async (file) => gzipSync(await readFile(file)).length));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function measureLoading(page: Page, url: string, results: WindowResults): Promise<void> {
  await page.addInitScript(installProbe, inputTypes);
  await page.goto(url);
  await page.locator('form textarea').waitFor();
  // long enough for a long task after the form to show itself
  await page.waitForTimeout(1500);
  const { paintMs, interactiveMs } = await page.evaluate(readLoadTimes);
  results.firstPaintMs.push(Math.round(paintMs));
  results.interactiveMs.push(Math.round(interactiveMs));
}

/** Sixteen pictures ordered in the window itself, so that the stage shows how one after the other forms; then the page is left alone. */
async function measureProgress(page: Page, results: WindowResults): Promise<void> {
  await page.getByText(String(LOAD.width), { exact: true }).click();
  await page.getByLabel('Pictures', { exact: true }).fill('16');
  await page.locator('form textarea').fill(LOAD.prompt);
  await page.locator('form textarea').press('Control+Enter');
  await page.locator('section img[src^="data:image/"]').first().waitFor();
  results.longestProgressTaskMs.push(await longestTaskDuring(page, () => page.waitForTimeout(WATCHED_MS)));
}

/** Types, moves through options and goes from screen to screen, as fast as a quick person. */
async function measureInput(page: Page, results: WindowResults): Promise<void> {
  const before = await page.evaluate(readInputs, inputTypes);
  await page.locator('form textarea').click();
  await page.keyboard.type(TYPED.repeat(3), { delay: 60 });
  for (const shape of ['3:4', '16:9', '1:1']) await page.getByTitle(shape, { exact: true }).click({ delay: 40 });
  for (const screen of ['Settings', 'Make', 'Settings', 'Make']) {
    await page.getByRole('navigation').getByRole('button', { name: screen }).click({ delay: 40 });
    await page.waitForTimeout(150);
  }
  const after = await page.evaluate(readInputs, inputTypes);
  const slowMs = after.slowMs.slice(before.slowMs.length);
  const count = after.count - before.count;
  // those that are not told took less than the 16 ms from which on they are
  const allMs = [...Array.from({ length: Math.max(0, count - slowMs.length) }, () => 16), ...slowMs].sort((a, b) => a - b);
  results.inputToPaintP95Ms.push(allMs[Math.ceil(allMs.length * 0.95) - 1] ?? Number.NaN);
}

/** The wheel turned as fast as a hand does, then the keys End and Home. */
async function measureGallery(page: Page, results: WindowResults): Promise<void> {
  await page.getByRole('navigation').getByRole('button', { name: 'Gallery' }).click();
  await page.locator('[data-index] img').first().waitFor();
  const task = longestTaskDuring(page, async () => {
    const watched = page.evaluate(watchRows, SCROLLED_MS + 4000);
    await page.mouse.move(900, 500);
    const until = performance.now() + SCROLLED_MS;
    for (let turn = 0; performance.now() < until; turn++) {
      await page.mouse.wheel(0, Math.floor(turn / 60) % 3 === 2 ? -300 : 300);
      await page.waitForTimeout(30);
    }
    await page.locator('[data-index][tabindex="0"]').focus();
    for (const key of ['End', 'Home', 'End']) {
      await page.keyboard.press(key);
      await page.waitForTimeout(400);
    }
    results.longestBlankRowMs.push(Math.round(await watched));
  });
  results.longestGalleryTaskMs.push(await task);
  results.picturesAfterJumpMs.push(Math.round(await page.evaluate(timePicturesAt, (results.picturesAfterJumpMs.length + 1) / (ROUNDS + 2))));
}

/** The next round begins without what is left of this one's pictures. */
async function cancelRest(page: Page): Promise<void> {
  await page.getByRole('navigation').getByRole('button', { name: 'Make' }).click();
  const cancelAll = page.getByRole('button', { name: 'Cancel all' });
  if (await cancelAll.isVisible()) await cancelAll.click();
}

async function longestTaskDuring(page: Page, action: () => Promise<void>): Promise<number> {
  const before = await page.evaluate(() => window.windowProbe.longTasks.length);
  await action();
  const durations = await page.evaluate((from) => window.windowProbe.longTasks.slice(from).map(({ durationMs }) => durationMs), before);
  return Math.max(0, ...durations);
}

async function faultsOf({ page, faults }: Visit): Promise<string[]> {
  const reports = await page.evaluate(() => window.windowProbe.policyReports);
  return [...faults, ...reports.map((report) => `policy: ${report}`)];
}
