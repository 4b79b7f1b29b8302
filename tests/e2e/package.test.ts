import { execFile } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DesktopBridge, UpdateCall, UpdateState } from '#shared/protocol/desktop.ts';
import { desktopMachine } from './desktop-app.ts';
import { buildPackages, makePicture, type PackagedApp, root, startPackaged } from './packaged-app.ts';
import { type Offer, UpdateFeed } from './update-feed.ts';

declare global {
  interface Window {
    studioDesktop: DesktopBridge;
  }
}

const run = promisify(execFile);

const machine = await desktopMachine();
if (typeof machine === 'string') console.warn(`the tests of the package are skipped: ${machine}`);

/** Bundled weights and icons are 84 MB of it, Electron 370. */
const BUDGET_MB = 600;

let folder: string;
let app: string;
let feed: UpdateFeed;

beforeAll(async () => {
  if (typeof machine === 'string') return;
  folder = mkdtempSync(join(tmpdir(), 'package-'));
  app = join(folder, 'linux-unpacked');
  feed = await UpdateFeed.open();
  await buildPackages(machine, folder, ['dir'], feed.buildSettings);
});
afterAll(() => {
  if (typeof machine === 'string') return;
  machine.display.close();
  feed.close();
  rmSync(folder, { recursive: true, force: true });
});

function filesBelow(top: string): string[] {
  return readdirSync(top, { recursive: true, encoding: 'utf8' }).filter((file) => lstatSync(join(top, file)).isFile());
}

test('the package holds what runs on this system and nothing for another', async ({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  const archive = (
    await run(process.execPath, [join(root, 'node_modules/.bin/asar'), 'list', join(app, 'resources/app.asar')], { maxBuffer: 1 << 26 })
  ).stdout.split('\n');
  for (const file of [
    '/out/main/index.js',
    '/out/main/engine/worker.js',
    '/out/preload/preload.cjs',
    '/out/renderer/index.html',
    '/LICENSE',
    '/THIRD-PARTY.md',
  ]) {
    expect(archive).toContain(file);
  }
  const unwanted = /^\/(src-|tests|docs|scripts|bench|data|outputs|node_modules\/(node-(linux|win)|electron\/|react|vite|typescript|@types))|\.map$|\.tsx?$/;
  expect(archive.filter((file) => unwanted.test(file))).toEqual([]);

  const native = filesBelow(join(app, 'resources')).filter((file) => /\.(node|so|dll|dylib)(\.|$)/.test(file));
  expect(native.length).toBeGreaterThan(3);
  expect(native.filter((file) => /win32|darwin|arm64|musl-|linuxmusl/.test(file))).toEqual([]);
  expect(existsSync(join(app, 'resources/app-resources/models/storybook-uint4/model_index.json'))).toBe(true);
});

test('the package stays within its budget', ({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  const megabytes = filesBelow(app).reduce((sum, file) => sum + lstatSync(join(app, file)).size, 0) / 1e6;
  console.warn(`the unpacked app takes ${Math.round(megabytes)} MB`);
  expect(megabytes).toBeLessThan(BUDGET_MB);
});

/** The unpacked app, started as an AppImage's runtime would start it: the file that it names is what an update replaces. */
async function startAsAppImage(name: string): Promise<PackagedApp & { appImage: string; home: string }> {
  if (typeof machine === 'string') throw new Error(machine);
  const home = join(folder, name);
  mkdirSync(home);
  const appImage = join(home, 'Studio.AppImage');
  writeFileSync(appImage, 'the version that is there\n');
  const started = await startPackaged({ executable: join(app, 'z-image-turbo-studio'), machine, home, env: { APPIMAGE: appImage } });
  return { ...started, appImage, home };
}

const ask = (page: Page, call: UpdateCall): Promise<UpdateState> => page.evaluate((asked) => window.studioDesktop.ask({ call: asked }), call);

/** What comes of asking for an update, and of fetching it where one is offered. */
async function tryUpdate(page: Page): Promise<UpdateState> {
  const checked = await ask(page, 'checkForUpdate');
  if (checked.state !== 'available') return checked;
  await ask(page, 'downloadUpdate');
  await expect.poll(async () => (await ask(page, 'getUpdate')).state, { timeout: 60_000 }).not.toBe('downloading');
  return ask(page, 'getUpdate');
}

/** A new AppImage that only notes that it was started. */
function nextAppImage(marker: string): Offer {
  const bytes = Buffer.from(`#!/bin/sh\necho "$0" > '${marker}'\n`.padEnd(200_000, '#'));
  return { version: '99.0.0', notes: 'Faster, <b>and</b> tested.', fileName: 'Studio-99.0.0.AppImage', bytes };
}

test('a feed that lies changes nothing and is told by its lie', async ({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  const { page, appImage, home, close } = await startAsAppImage('lied-to');
  const elsewhere = createServer((_request, response) => response.end('not asked for'));
  await new Promise<void>((ready) => elsewhere.listen(0, '127.0.0.1', ready));
  const stranger = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/x`;
  const good = nextAppImage(join(home, 'started'));
  const { fileName, bytes } = good;
  const channel = 'latest-linux.yml';

  const outcome = async (tell: () => void): Promise<string> => {
    feed.offer(good);
    tell();
    const state = await tryUpdate(page);
    expect(readFileSync(appImage, 'utf8')).toBe('the version that is there\n');
    return state.state === 'failed' ? `${state.reason} ${state.detail}` : state.state;
  };
  try {
    const outcomes = {
      older: await outcome(() => feed.offer({ ...good, version: '0.0.9' })),
      'signed by somebody else': await outcome(() => feed.offer({ ...good, signedBy: generateKeyPairSync('ed25519').privateKey })),
      'no signature': await outcome(() => feed.lie(`${channel}.sig`, (_request, response) => response.writeHead(404).end())),
      'a page': await outcome(() => feed.lie(channel, (_request, response) => response.setHeader('content-type', 'text/html').end('<html>'))),
      'signed nonsense': await outcome(() => feed.signed(channel, Buffer.from('version: ["1.0.0"\n'))),
      'signed, of another form': await outcome(() => feed.signed(channel, Buffer.from('version: newest\nfiles: []\n'))),
      'an endless channel file': await outcome(() => feed.lie(channel, (_request, response) => void response.end(Buffer.alloc(1 << 20, 'x')))),
      'a server error': await outcome(() => feed.lie(channel, (_request, response) => response.writeHead(500).end())),
      'the channel redirected to http': await outcome(() => feed.lie(channel, (_request, response) => response.writeHead(302, { location: stranger }).end())),
      'the package redirected to http': await outcome(() => feed.lie(fileName, (_request, response) => response.writeHead(302, { location: stranger }).end())),
      'a package elsewhere': await outcome(() => feed.offer({ ...good, fileName: `${stranger}.AppImage` })),
      'no package of this kind': await outcome(() => feed.offer({ ...good, fileName: 'Studio-99.0.0.pkg' })),
      'other bytes': await outcome(() => feed.offer({ ...good, sha512: createHash('sha512').update('others').digest('base64') })),
      'more bytes than announced': await outcome(() => feed.offer({ ...good, sizeBytes: bytes.byteLength - 1 })),
      'a length unknown': await outcome(() => feed.lie(fileName, (_request, response) => void response.write(bytes))),
      'a cut download': await outcome(() =>
        feed.lie(fileName, (_request, response) => {
          response.writeHead(200, { 'content-length': bytes.byteLength });
          response.write(bytes.subarray(0, 50_000), () => response.destroy());
        }),
      ),
      'nobody in a roll-out of 0 %': await outcome(() => feed.offer({ ...good, stagingPercentage: 0 })),
      'the version that runs': await outcome(() => feed.offer({ ...good, version: JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version })),
      'only in the other channel': await outcome(() => feed.offer({ ...good, channel: 'beta' })),
    };
    expect(outcomes).toEqual({
      older: 'older_version 0.0.9',
      'signed by somebody else': 'bad_signature Ed25519',
      'no signature': 'bad_signature latest-linux.yml.sig',
      'a page': 'not_a_feed latest-linux.yml: HTML',
      'signed nonsense': 'not_a_feed YAML',
      'signed, of another form': 'not_a_feed version, files, releaseDate',
      'an endless channel file': 'wrong_size > 262144',
      'a server error': 'unreachable HTTP 500',
      'the channel redirected to http': `insecure_address ${new URL(stranger).origin}`,
      'the package redirected to http': `insecure_address ${new URL(stranger).origin}`,
      'a package elsewhere': `insecure_address ${stranger}.AppImage`,
      'no package of this kind': 'no_package 99.0.0 .AppImage',
      'other bytes': 'wrong_hash SHA-512',
      'more bytes than announced': `wrong_size ${bytes.byteLength}`,
      'a length unknown': 'wrong_size ?',
      'a cut download': 'cut_short net::ERR_CONTENT_LENGTH_MISMATCH',
      'nobody in a roll-out of 0 %': 'none',
      'the version that runs': 'none',
      'only in the other channel': 'no_channel latest-linux.yml',
    });
    expect(existsSync(join(home, 'started'))).toBe(false);
  } finally {
    await close();
    elsewhere.close();
  }
});

test('a good update waits for the job in work, then takes the place of the version that runs, which starts it and ends', async ({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  const { page, appImage, home, ended, close } = await startAsAppImage('updated');
  try {
    const next = nextAppImage(join(home, 'started'));
    feed.offer(next);
    expect(await ask(page, 'checkForUpdate')).toEqual({ state: 'available', version: '99.0.0', notes: next.notes, sizeBytes: next.bytes.byteLength });
    const ready = await tryUpdate(page);
    expect(ready).toMatchObject({ state: 'ready', atQuit: true, waitsForJobs: false });

    const picture = makePicture(page, { steps: 20 });
    await expect.poll(() => page.evaluate(async () => (await (await fetch('/api/info')).json()).queue.running), { timeout: 30_000 }).toBe(1);
    expect(await ask(page, 'installUpdate')).toMatchObject({ state: 'ready', waitsForJobs: true });
    expect(readFileSync(appImage, 'utf8')).toBe('the version that is there\n');
    expect(await picture).toContain('completed');

    expect(await ended).toBe(0);
    expect(readFileSync(appImage)).toEqual(next.bytes);
    expect(statSync(appImage).mode & 0o777).toBe(0o755);
    await expect.poll(() => existsSync(join(home, 'started'))).toBe(true);
    expect(readFileSync(join(home, 'started'), 'utf8').trim()).toBe(appImage);
    expect(readdirSync(home).filter((file) => file.endsWith('.new'))).toEqual([]);
    expect(readdirSync(join(home, 'user/studio/outputs')).filter((file) => file.endsWith('.png'))).toHaveLength(2);
  } finally {
    await close();
  }
});

test('what was downloaded is installed when the window is closed; a signal ends the program without that', async ({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  const left = async (name: string, leave: (started: PackagedApp) => unknown): Promise<string> => {
    const started = await startAsAppImage(name);
    try {
      const next = nextAppImage(join(started.home, 'started'));
      feed.offer(next);
      expect(await tryUpdate(started.page)).toMatchObject({ state: 'ready' });
      leave(started);
      expect(await started.ended).toBe(0);
      expect(existsSync(join(started.home, 'started'))).toBe(false);
      return readFileSync(started.appImage).equals(next.bytes) ? 'new' : 'old';
    } finally {
      await started.close();
    }
  };
  expect(await left('closed', ({ page }) => page.close())).toBe('new');
  expect(await left('signalled', ({ kill }) => kill('SIGTERM'))).toBe('old');
});
