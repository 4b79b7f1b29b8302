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
import { PACKAGE_BUDGET_MB, sizesIn, unpackedMegabytes } from '../../scripts/package-size.ts';
import { launchBrowser, noBrowser, prepareVisit } from './browser.ts';
import { desktopMachine } from './desktop-app.ts';
import {
  cannotInstall,
  freePort,
  INSTALLED_IN,
  install,
  installedPaths,
  installedVersion,
  killInstalled,
  missingDependencies,
  modesOf,
  pageOfVersion,
  purge,
  remove,
  treeOf,
} from './installed-deb.ts';
import { buildPackages, makeImage, type PackagedApp, root, startPackaged } from './packaged-app.ts';
import { type Offer, UpdateFeed } from './update-feed.ts';
import { isFinished, make, shownImages } from './window-page.ts';

declare global {
  interface Window {
    studioDesktop: DesktopBridge;
  }
}

const run = promisify(execFile);

const machine = await desktopMachine();
if (typeof machine === 'string') console.warn(`the tests of the package are skipped: ${machine}`);

const noDeb = cannotInstall();
if (noDeb !== null) console.warn(`the tests of the installed deb are skipped: ${noDeb}`);

let folder: string;
let app: string;
let feed: UpdateFeed;

beforeAll(async () => {
  if (typeof machine === 'string') return;
  folder = mkdtempSync(join(tmpdir(), 'package-'));
  app = join(folder, 'linux-unpacked');
  feed = await UpdateFeed.open();
  await buildPackages(machine, folder, noDeb === null ? ['dir', 'deb'] : ['dir'], feed.buildSettings);
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

/** The mapped files of every readable process. */
function mapsOfAll(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/maps`, 'utf8');
      } catch {
        return ''; // it ended meanwhile
      }
    });
}

test('the package contains only what runs on this system', async ({ skip }) => {
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
  for (const part of ['onnxruntime', 'koffi', 'sqlite']) expect(native.some((file) => file.includes(part))).toBe(true);
  expect(native.filter((file) => /win32|darwin|arm64|musl/.test(file))).toEqual([]);
  // the native build of sharp must not be loaded in Electron on Linux
  expect(native.filter((file) => /sharp-(?!wasm32)|vips/.test(file))).toEqual([]);
  expect(filesBelow(join(app, 'resources')).filter((file) => /sharp-wasm32.*\.wasm$/.test(file))).toHaveLength(1);
  expect(existsSync(join(app, 'resources/app-resources/models/storybook-uint4/model_index.json'))).toBe(true);
});

test("the packaged engine generates an image through ONNX Runtime's C API", async ({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  const home = join(folder, 'engine');
  mkdirSync(home);
  const started = await startPackaged({ executable: join(app, 'z-image-turbo-studio'), home, env: { DISPLAY: machine.display.name } });
  try {
    expect(await makeImage(started.page)).toEqual(['pending', 'processing', 'generated', 'completed']);
    const [engine, ...others] = mapsOfAll().filter((maps) => maps.includes(join(app, 'resources')) && maps.includes('libonnxruntime'));
    expect(others).toEqual([]);
    expect(engine).toContain('koffi.node');
    expect(engine).not.toContain('onnxruntime_binding.node');
  } finally {
    await started.close();
  }
});

test('the package stays within its budget, and README.md states its size', ({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  const measured = unpackedMegabytes(app);
  console.warn(`the unpacked app takes ${Math.round(measured)} MB`);
  expect(measured).toBeLessThan(PACKAGE_BUDGET_MB);
  for (const file of ['README.md', 'README.zh-CN.md']) {
    const said = sizesIn(readFileSync(join(root, file), 'utf8'));
    expect(said.debMegabytes).toBeLessThan(said.unpackedMegabytes);
    if (said.electron !== machine.electron.version) continue;
    const offBy = Math.abs(said.unpackedMegabytes - measured) / measured;
    expect(offBy, `${file} says ${said.unpackedMegabytes} MB: npm run package-size updates it`).toBeLessThan(0.05);
  }
});

test('the fuses are set as production wants them', async ({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  const { stdout } = await run(process.execPath, [join(root, 'node_modules/.bin/electron-fuses'), 'read', '--app', join(app, 'z-image-turbo-studio')]);
  const states = Object.fromEntries([...stdout.matchAll(/(\w+) is (Enabled|Disabled)/g)].map((match) => [match[1], match[2]]));
  expect(states).toEqual({
    RunAsNode: 'Disabled',
    EnableCookieEncryption: 'Enabled',
    EnableNodeOptionsEnvironmentVariable: 'Disabled',
    EnableNodeCliInspectArguments: 'Disabled',
    EnableEmbeddedAsarIntegrityValidation: 'Enabled',
    OnlyLoadAppFromAsar: 'Enabled',
    LoadBrowserProcessSpecificV8Snapshot: 'Disabled',
    GrantFileProtocolExtraPrivileges: 'Disabled',
  });
});

test('the packaged server serves the page to a browser, which generates an image with the real engine and shows both versions', async ({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  if (noBrowser !== null) return skip(noBrowser);
  const home = join(folder, 'seen-by-a-browser');
  mkdirSync(home);
  const server = await startPackaged({ executable: join(app, 'z-image-turbo-studio'), home, env: { DISPLAY: machine.display.name } });
  const browser = await launchBrowser();
  try {
    const { origin } = new URL(server.page.url());
    const { page, faults } = await prepareVisit(browser, origin);
    await page.goto(origin);
    expect(await page.evaluate(() => typeof Reflect.get(window, 'studioDesktop'))).toBe('undefined');
    await make(page, 'a robot with a scarf in the snow', { size: '256' });
    await isFinished(page);
    expect(await shownImages(page)).toEqual([1024, 256]);
    const jobs = await server.page.evaluate(async () => (await (await fetch('/api/jobs')).json()).jobs);
    expect(jobs, 'the window of the app is another client of the same server').toMatchObject([{ status: 'completed', params: { width: 256, height: 256 } }]);
    expect(faults).toEqual([]);
  } finally {
    await browser.close();
    await server.close();
  }
});

/** The unpacked app, started as by an AppImage's runtime: an update replaces the file that it names. */
async function startAsAppImage(name: string): Promise<PackagedApp & { appImage: string; home: string }> {
  if (typeof machine === 'string') throw new Error(machine);
  const home = join(folder, name);
  mkdirSync(home);
  const appImage = join(home, 'Studio.AppImage');
  writeFileSync(appImage, 'the version that is there\n');
  const started = await startPackaged({ executable: join(app, 'z-image-turbo-studio'), home, env: { DISPLAY: machine.display.name, APPIMAGE: appImage } });
  return { ...started, appImage, home };
}

const ask = (page: Page, call: UpdateCall): Promise<UpdateState> => page.evaluate((asked) => window.studioDesktop.ask({ call: asked }), call);

/** The outcome of a check for updates, and of the download if one is offered. */
async function tryUpdate(page: Page): Promise<UpdateState> {
  const checked = await ask(page, 'checkForUpdate');
  if (checked.state !== 'available') return checked;
  await ask(page, 'downloadUpdate');
  await expect.poll(async () => (await ask(page, 'getUpdate')).state, { timeout: 60_000 }).not.toBe('downloading');
  return ask(page, 'getUpdate');
}

/** A new AppImage that only records its start. */
function nextAppImage(marker: string): Offer {
  const bytes = Buffer.from(`#!/bin/sh\necho "$0" > '${marker}'\n`.padEnd(200_000, '#'));
  return { version: '99.0.0', notes: 'Faster, <b>and</b> tested.', fileName: 'Studio-99.0.0.AppImage', bytes };
}

test('a forged feed changes nothing, and the error names the forgery', async ({ skip }) => {
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
      'no one in a rollout of 0 %': await outcome(() => feed.offer({ ...good, stagingPercentage: 0 })),
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
      'no one in a rollout of 0 %': 'none',
      'the version that runs': 'none',
      'only in the other channel': 'no_channel latest-linux.yml',
    });
    await page.evaluate(() => window.studioDesktop.ask({ call: 'changeSettings', change: { updateChannel: 'beta' } }));
    expect(await outcome(() => feed.offer({ ...good, channel: 'beta', stagingPercentage: 100 }))).toBe('ready');
    expect(existsSync(join(home, 'started'))).toBe(false);
  } finally {
    await close();
    elsewhere.close();
  }
});

test('a good update waits for the running job, then replaces the running version, which starts it and quits', async ({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  const { page, appImage, home, ended, close } = await startAsAppImage('updated');
  try {
    const next = nextAppImage(join(home, 'started'));
    feed.offer(next);
    await page.getByRole('button', { name: 'Settings', exact: true }).click();
    const section = page.getByRole('region', { name: 'Updates', exact: true });
    await section.getByRole('button', { name: 'Check now' }).click();
    await section.getByText('Version 99.0.0, 0.2 MB').waitFor();
    expect(await section.getByRole('region', { name: 'What’s new' }).textContent()).toBe(next.notes);
    await section.getByRole('button', { name: 'Download', exact: true }).click();
    await section.getByText('It is installed when you quit, or now.').waitFor();
    expect(await ask(page, 'getUpdate')).toMatchObject({ state: 'ready', atQuit: true, waitsForJobs: false });

    const image = makeImage(page, { steps: 20 });
    await expect.poll(() => page.evaluate(async () => (await (await fetch('/api/info')).json()).queue.running), { timeout: 30_000 }).toBe(1);
    await section.getByRole('button', { name: 'Install and restart' }).click();
    await section.getByText('Will be installed when all images are finished.').waitFor();
    expect(readFileSync(appImage, 'utf8')).toBe('the version that is there\n');
    expect(await image).toContain('completed');

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

test('a downloaded update is installed when the window is closed; a signal quits without installing', async ({ skip }) => {
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

test('the deb is installed, generates an image, updates itself and keeps the data, and leaves only the data when removed', async ({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  if (noDeb !== null) return skip(noDeb);
  const version: string = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version;
  const debOf = (parent: string): string => join(parent, readdirSync(parent).find((file) => file.endsWith('.deb')) ?? 'no deb');
  const missing = missingDependencies(debOf(folder));
  if (missing.length > 0) return skip(`this system lacks what the deb depends on: ${missing.join(', ')}`);
  const home = join(folder, 'debian');
  mkdirSync(home);
  try {
    install(debOf(folder));
    expect(installedVersion()).toBe(version);
    checkInstalledFiles();

    const devToolsPort = await freePort();
    const executable = '/usr/bin/z-image-turbo-studio';
    const first = await startPackaged({ executable, home, args: [`--remote-debugging-port=${devToolsPort}`], env: { DISPLAY: machine.display.name } });
    expect(await makeImage(first.page)).toEqual(['pending', 'processing', 'generated', 'completed']);
    expect(await first.page.evaluate(() => typeof Reflect.get(globalThis, 'require'))).toBe('undefined');

    const next = join(folder, 'next');
    await buildPackages(machine, next, ['deb'], { ...feed.buildSettings, DIST_VERSION: '99.0.0' });
    const bytes = readFileSync(debOf(next));
    feed.offer({ version: '99.0.0', fileName: 'z-image-turbo-studio-99.0.0-linux-amd64.deb', bytes });
    expect(await tryUpdate(first.page)).toMatchObject({ state: 'ready', atQuit: false });
    await ask(first.page, 'installUpdate');
    expect(await first.ended).toBe(0);

    const updated = await pageOfVersion(devToolsPort, '99.0.0', 60_000);
    expect(installedVersion()).toBe('99.0.0');
    checkInstalledFiles();
    const jobs = await updated.evaluate(async () => (await (await fetch('/api/jobs')).json()).jobs);
    expect(jobs).toMatchObject([{ status: 'completed', params: { prompt: 'a yellow sailboat on a beach' } }]);
    await updated.close();
    await expect.poll(() => existsSync(join(home, 'user/SingletonLock')), { timeout: 20_000 }).toBe(false);

    const installed = installedPaths();
    remove();
    expect(installed.filter((path) => existsSync(path))).toEqual([]);
    expect([INSTALLED_IN, executable, '/etc/alternatives/z-image-turbo-studio'].filter((path) => lstatSync(path, { throwIfNoEntry: false }))).toEqual([]);
    expect(readdirSync(join(home, 'user/studio/outputs')).filter((file) => file.endsWith('.png'))).toHaveLength(2);
  } finally {
    killInstalled();
    purge();
  }
}, 300_000);

/** Checks the installed files: complete, owned by root, and without unneeded permissions. */
function checkInstalledFiles(): void {
  const paths = installedPaths();
  const modes = modesOf(paths);
  expect(treeOf(INSTALLED_IN).sort()).toEqual(paths.filter((path) => path.startsWith(INSTALLED_IN)).sort());
  const shared = ['applications/z-image-turbo-studio.desktop', 'metainfo/z-image-turbo-studio.metainfo.xml'];
  const icons = [
    ...[16, 24, 32, 48, 64, 96, 128, 256, 512].map((side) => `${side}x${side}/apps/z-image-turbo-studio.png`),
    'scalable/apps/z-image-turbo-studio.svg',
  ];
  expect(paths.filter((path) => path.startsWith('/usr/')).sort()).toEqual(
    ['/usr/bin/zimage', ...shared.map((file) => `/usr/share/${file}`), ...icons.map((icon) => `/usr/share/icons/hicolor/${icon}`)].sort(),
  );
  const executables = paths.filter((path) => lstatSync(path).isFile() && lstatSync(path).mode & 0o111);
  const programs = ['chrome-sandbox', 'chrome_crashpad_handler', 'z-image-turbo-studio'].map((name) => `${INSTALLED_IN}/${name}`);
  expect(executables.filter((path) => !/\.(so|node)(\.\d+)*$/.test(path)).sort()).toEqual([...programs, '/usr/bin/zimage']);
  for (const [path, mode] of modes) {
    const { uid, gid } = lstatSync(path);
    expect(`${path} ${uid}:${gid}`).toBe(`${path} 0:0`);
    // without user namespaces Chromium's sandbox is a setuid program; the package's script decides
    const allowed = path.endsWith('/chrome-sandbox') ? ['755', '4755'] : lstatSync(path).isDirectory() || executables.includes(path) ? ['755'] : ['644'];
    expect(allowed, path).toContain(mode);
  }
  const desktop = readFileSync('/usr/share/applications/z-image-turbo-studio.desktop', 'utf8');
  for (const line of ['Exec="/opt/Z-Image-Turbo Studio/z-image-turbo-studio" %U', 'Icon=z-image-turbo-studio', 'MimeType=image/png;x-scheme-handler/zimage;'])
    expect(desktop.split('\n')).toContain(line);
}
