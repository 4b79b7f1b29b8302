import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { createHttpClient } from '#main/downloads/http-client.ts';
import { programDir } from '#main/lib/program-files.ts';
import type { CudaPackEntry } from '#shared/domain/cuda-pack.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { needsMount, SmallDisk } from '../../tests/support/small-disk.ts';
import { makeStandInPack, ORT_VERSION, type PackServer, PROVIDER, type StandInPack, startPackServer } from '../../tests/support/stand-in-pack.ts';
import type { CudaPack } from './cuda-pack.ts';
import { findPack, packsDirOf } from './pack-folder.ts';
import { createPackInstaller, type PackInstallerOptions } from './pack-installer.ts';
import { packSystem, planPack } from './pack-plan.ts';

const library = Buffer.from('the library of onnxruntime-node');
const accepted = { accept_licences: true };
const plain = { accept_licences: false };

/** Made once: a test that changes what is served makes its own. */
const wheels = makeStandInPack('wheels', library);

let folder: string;
let standIn: StandInPack;
let server: PackServer;
let closing: (() => Promise<void>)[];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cuda-pack-'));
  writeFileSync(join(folder, 'library'), library);
  standIn = wheels;
  server = await startPackServer(standIn.served);
  closing = [];
});
afterEach(async () => {
  for (const close of closing) await close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

function packWith(change: Partial<PackInstallerOptions> = {}): CudaPack {
  const http = createHttpClient({ origin: server.origin, token: null, proxies: { http: '', https: '', none: '*' } });
  const pack = createPackInstaller({
    dataDir: folder,
    plan: standIn.plan,
    onnxruntime: ORT_VERSION,
    libraryPath: join(folder, 'library'),
    source: { index: new URL(`${server.origin}/simple/`), vendors: vendors() },
    http,
    bytesPerSecond: () => null,
    isInUse: () => false,
    pause: async (_milliseconds, signal) => signal.throwIfAborted(),
    log: { warn: () => {} },
    ...change,
  });
  closing.push(pack.close, http.close);
  return pack;
}

const vendors = () => ({ onnxruntime: `${server.origin}/ort`, cuda: `${server.origin}/cuda`, cudnn: `${server.origin}/cudnn` });
const fromVendors = () => ({ source: { index: null, vendors: vendors() } });

/** From here on another pack is served. */
async function serve(other: StandInPack): Promise<void> {
  await server.close();
  standIn = other;
  server = await startPackServer(other.served);
}

const packDir = () => join(packsDirOf(folder), standIn.plan.version);

/** Resolves when nothing is done any more. */
async function settled(pack: CudaPack, work: Promise<CudaPackEntry>): Promise<CudaPackEntry> {
  const isBusy = ({ state }: CudaPackEntry) => state === 'downloading' || state === 'unpacking' || state === 'verifying';
  return new Promise((resolve, reject) => {
    const unwatch = pack.watch((entry) => {
      if (isBusy(entry)) return;
      unwatch();
      resolve(entry);
    });
    work.then((entry) => {
      if (isBusy(entry)) return;
      unwatch();
      resolve(entry);
    }, reject);
  });
}

function expectWhole(): void {
  const names = readdirSync(packDir()).filter((name) => name !== 'manifest.json');
  expect(names.toSorted()).toEqual([...standIn.files.keys()].toSorted());
  for (const [name, bytes] of standIn.files) expect(readFileSync(join(packDir(), name)).equals(bytes), name).toBe(true);
  expect(readdirSync(packsDirOf(folder))).toEqual([standIn.plan.version]);
}

test.each([
  ['wheels of a JSON index', 'json', null],
  ['wheels of an HTML index', 'html', null],
  ['the releases of the vendors, whose libraries are links', 'json', 'releases'],
] as const)('from %s: one flat folder with the right bytes, which an engine finds', async (_what, pages, source) => {
  if (source !== null) await serve(makeStandInPack(source, library));
  server.pages = pages;
  const pack = packWith(source === null ? {} : fromVendors());
  expect(await pack.entry()).toMatchObject({ state: 'absent', path: null, others: [] });
  expect(await settled(pack, pack.act('install', accepted))).toMatchObject({ state: 'installed', path: packDir(), error: null });
  expectWhole();
  expect(findPack(packsDirOf(folder), ORT_VERSION)).toBe(packDir());
  const manifest: unknown = JSON.parse(readFileSync(join(packDir(), 'manifest.json'), 'utf8'));
  expect(manifest).toMatchObject({
    version: standIn.plan.version,
    onnxruntime: ORT_VERSION,
    licences: expect.arrayContaining([expect.stringMatching(/nvidia/)]),
  });
  expect(await settled(pack, pack.act('verify', plain))).toMatchObject({ state: 'installed' });
  const requests = server.requests;
  expect(await pack.act('install', plain)).toMatchObject({ state: 'installed' });
  expect(server.requests).toBe(requests);
});

test('without consent nothing is asked for, and the licences are named', async () => {
  const refused = await packWith()
    .act('install', plain)
    .catch((thrown: unknown) => thrown);
  expect(refused).toMatchObject({ code: 'licence_not_accepted', message: expect.stringContaining('https://docs.nvidia.com/cuda/eula/') });
  expect(server.requests).toBe(0);
  expect(readdirSync(folder)).toEqual(['library']);
});

describe('a source that misbehaves', () => {
  test('with bytes that have not the pinned hash: refused, and installed when it is well again', async () => {
    server.fault = (path) => (path.includes('cublas') ? 'flip' : null);
    const pack = packWith();
    expect(await settled(pack, pack.act('install', accepted))).toMatchObject({
      state: 'failed',
      error: { code: 'download_failed', message: expect.stringContaining('hash') },
    });
    expect(findPack(packsDirOf(folder), ORT_VERSION)).toBeNull();
    server.fault = () => null;
    const before = server.sentBytes;
    // the licences were agreed to, and the first archive is done
    expect(await settled(pack, pack.act('install', plain))).toMatchObject({ state: 'installed' });
    expect(server.sentBytes - before).toBe(standIn.plan.archives[1]?.sizeBytes);
    expectWhole();
  });

  test('that lists another hash than the pinned one: nothing is downloaded', async () => {
    server.toldHash = 'f'.repeat(64);
    const pack = packWith();
    expect(await settled(pack, pack.act('install', accepted))).toMatchObject({ state: 'failed', error: { code: 'download_refused' } });
    expect(server.sentBytes).toBe(0);
  });

  test('that cuts every second answer: the right bytes all the same', async () => {
    server.fault = (_path, count) => (count % 2 === 0 ? 'cut' : null);
    const pack = packWith();
    expect(await settled(pack, pack.act('install', accepted))).toMatchObject({ state: 'installed' });
    expectWhole();
  });

  test('that has the file no more: named, with what to do', async () => {
    await serve(makeStandInPack('releases', library));
    server.fault = () => 'missing';
    const pack = packWith(fromVendors());
    const { error } = await settled(pack, pack.act('install', accepted));
    expect(error).toMatchObject({ code: 'download_failed', message: expect.stringMatching(/refuses ort\.tgz \(HTTP 404\).*newer version/) });
  });

  test('that does not know the project: named', async () => {
    const [first, ...others] = standIn.plan.archives;
    if (first === undefined) throw new Error('no archive');
    const plan = { ...standIn.plan, archives: [{ ...first, place: { project: 'elsewhere' } }, ...others] };
    const pack = packWith({ plan });
    const { error } = await settled(pack, pack.act('install', accepted));
    expect(error).toMatchObject({ code: 'download_failed', message: expect.stringContaining('/simple/elsewhere/') });
  });
});

test('paused, it goes on from there', async () => {
  server.bytesPerSecond = 1_000_000;
  const pack = packWith();
  const begun = new Promise<void>((resolve) => {
    const unwatch = pack.watch(({ bytes_done }) => {
      if (bytes_done === 0) return;
      unwatch();
      resolve();
    });
  });
  await pack.act('install', accepted);
  await begun;
  const paused = await pack.act('pause', plain);
  expect(paused).toMatchObject({ state: 'paused', error: null });
  expect(paused.bytes_done).toBeGreaterThan(0);
  server.bytesPerSecond = null;
  expect(await settled(pack, pack.act('install', plain))).toMatchObject({ state: 'installed' });
  expectWhole();
});

test('killed in the middle again and again: it ends with the right bytes, at most 8 MB of each kill fetched twice', async () => {
  const providerBytes = 6_000_000;
  await serve(makeStandInPack('wheels', library, { providerBytes }));
  server.bytesPerSecond = 500_000;
  const install = () =>
    spawn(process.execPath, [join(programDir, 'tests/fakes/cuda-pack-process.ts'), folder, server.origin, join(folder, 'library'), String(providerBytes)], {
      stdio: 'ignore',
    });
  const kills = 3;
  for (let kill = 0; kill < kills; kill++) {
    const before = server.sentBytes;
    const child = install();
    const exited = once(child, 'exit');
    while (server.sentBytes - before < 1_500_000 && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGKILL');
    await exited;
    expect(findPack(packsDirOf(folder), ORT_VERSION)).toBeNull();
  }
  server.bytesPerSecond = null;
  expect(await once(install(), 'exit')).toEqual([0, null]);
  expectWhole();
  const sizes = standIn.plan.archives.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0);
  expect(server.sentBytes - sizes).toBeLessThanOrEqual(kills * 8_000_000);
});

test('a provider library of another version of ONNX Runtime is no pack', async () => {
  await serve(makeStandInPack('wheels', library, { providerVersion: '9.9.8' }));
  const pack = packWith();
  const { state, error } = await settled(pack, pack.act('install', accepted));
  expect({ state, ...error }).toMatchObject({
    state: 'failed',
    code: 'cuda_pack_damaged',
    message: expect.stringContaining(`${PROVIDER} is not for ONNX Runtime 9.9.9`),
  });
  expect(findPack(packsDirOf(folder), ORT_VERSION)).toBeNull();
});

test('packs of several versions lie side by side; each engine finds its own, and one that is not used can be removed', async () => {
  const older = makeStandInPack('wheels', library, { providerVersion: '9.8.0', onnxruntime: '9.8.0' });
  const olderServer = await startPackServer(older.served);
  closing.push(olderServer.close);
  const olderPack = packWith({
    plan: older.plan,
    onnxruntime: '9.8.0',
    source: { index: new URL(`${olderServer.origin}/simple`), vendors: vendors() },
    http: createHttpClient({ origin: olderServer.origin, token: null, proxies: { http: '', https: '', none: '*' } }),
  });
  await settled(olderPack, olderPack.act('install', accepted));
  const pack = packWith({ isInUse: () => true });
  expect(await pack.entry()).toMatchObject({ state: 'absent', others: [{ version: older.plan.version, onnxruntime: '9.8.0' }] });
  expect(findPack(packsDirOf(folder), ORT_VERSION)).toBeNull();
  await settled(pack, pack.act('install', accepted));
  expect(findPack(packsDirOf(folder), '9.8.0')).toContain(older.plan.version);
  expect(await pack.act('remove', { ...plain, version: older.plan.version })).toMatchObject({ state: 'installed', others: [] });
  expectWhole();
});

test('a pack that the engine runs with is not removed; afterwards it is, to the last file', async () => {
  let isInUse = true;
  const pack = packWith({ isInUse: () => isInUse });
  await settled(pack, pack.act('install', accepted));
  await expect(pack.act('remove', plain)).rejects.toMatchObject({
    code: 'cuda_pack_busy',
    data: { state: 'installed' },
    message: expect.stringContaining('the engine uses it'),
  });
  expectWhole();
  isInUse = false;
  expect(await pack.act('remove', plain)).toMatchObject({ state: 'absent', path: null });
  expect(readdirSync(packsDirOf(folder))).toEqual([]);
  await expect(pack.act('remove', plain)).rejects.toMatchObject({ code: 'cuda_pack_busy' });
  await expect(pack.act('verify', plain)).rejects.toMatchObject({ code: 'cuda_pack_busy' });
});

test('a byte that changed on the disk is found by verifying; no engine gets the pack then, and installing again mends it', async () => {
  const pack = packWith();
  await settled(pack, pack.act('install', accepted));
  const file = await open(join(packDir(), PROVIDER), 'r+');
  await file.write(Buffer.of(1), 0, 1, 5000);
  await file.close();
  expect(await settled(pack, pack.act('verify', plain))).toMatchObject({
    state: 'damaged',
    error: { code: 'cuda_pack_damaged', message: expect.stringContaining(PROVIDER) },
  });
  expect(findPack(packsDirOf(folder), ORT_VERSION)).toBeNull();
  // also for who comes after a restart
  expect(await packWith().entry()).toMatchObject({ state: 'damaged' });
  expect(await settled(pack, pack.act('install', accepted))).toMatchObject({ state: 'installed' });
  expectWhole();
  rmSync(join(packDir(), 'libcublas.so.13'));
  expect(await pack.entry()).toMatchObject({ state: 'damaged', error: { message: expect.stringContaining('libcublas.so.13 is missing') } });
});

test('a disk with too little space fails before the download and names the missing space', async () => {
  const pack = packWith({ freeBytes: async () => 1_000_000 });
  const { state, error } = await settled(pack, pack.act('install', accepted));
  // all files, and the larger archive beside them
  expect({ state, ...error }).toMatchObject({
    state: 'failed',
    code: 'disk_full',
    message: expect.stringMatching(/needs [\d.]+ MB .* only 1\.0 MB are free\. Free [56]\.\d MB/),
  });
  expect(server.sentBytes).toBe(0);
});

test.for(['wheels', 'releases'] as const)(
  'a disk that fills up under %s fails with its code, and the installation goes on when there is room',
  async (source, context) => {
    needsMount(context);
    if (source === 'releases') await serve(makeStandInPack(source, library));
    const place = mkdtempSync(join(tmpdir(), 'cuda-pack-disk-'));
    onTestFinished(() => rmSync(place, { recursive: true }));
    const disk = new SmallDisk(join(place, 'data'), 'size=4m');
    const pack = packWith({ ...(source === 'releases' ? fromVendors() : {}), dataDir: join(place, 'data'), freeBytes: async () => Number.MAX_SAFE_INTEGER });
    expect(await settled(pack, pack.act('install', accepted))).toMatchObject({ state: 'failed', error: { code: 'disk_full' } });
    disk.change('size=20m');
    expect(await settled(pack, pack.act('install', plain))).toMatchObject({ state: 'installed' });
  },
);

test('without a pack for the system, the entry says so and commands are refused', async () => {
  const pack = packWith({ plan: null });
  expect(await pack.entry()).toMatchObject({ state: 'unsupported', error: { code: 'cuda_pack_unsupported' } });
  await expect(pack.act('install', accepted)).rejects.toBeInstanceOf(AppError);
  expect(await packWith({ onnxruntime: '10.0.0' }).entry()).toMatchObject({
    state: 'unsupported',
    error: { message: expect.stringContaining('it runs on 10.0.0') },
  });
});

test('the plans are for the ONNX Runtime that the program comes with, and each system has every library from both sources', () => {
  const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(readFileSync(join(programDir, 'package.json'), 'utf8'));
  for (const system of ['linux-x64', 'win32-x64'] as const) {
    const [wheels, vendorsOwn] = [planPack(system, 'wheels'), planPack(system, 'releases')];
    expect(wheels.onnxruntime).toBe(dependencies['onnxruntime-node']);
    const names = (plan: typeof wheels) => plan.archives.flatMap(({ files }) => files.map(({ name }) => name)).toSorted();
    expect(names(vendorsOwn)).toEqual(names(wheels));
    expect(names(wheels)).toContain(wheels.provider);
    for (const { sha256 } of [...wheels.archives, ...vendorsOwn.archives]) expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  }
  expect([packSystem('linux', 'x64'), packSystem('win32', 'x64'), packSystem('linux', 'arm64'), packSystem('darwin', 'arm64')]).toEqual([
    'linux-x64',
    'win32-x64',
    null,
    null,
  ]);
});

describe('commands at the same time', () => {
  /** What came of calls: a state, or the code of an error. */
  const outcomes = (calls: Promise<CudaPackEntry>[]): Promise<string[]> =>
    Promise.all(
      calls.map((call) =>
        call.then(
          ({ state }) => state,
          (thrown: unknown) => {
            if (thrown instanceof AppError) return thrown.code;
            throw thrown;
          },
        ),
      ),
    );

  test('two installs are one installation, which can be paused', async () => {
    server.bytesPerSecond = 1_000_000;
    const pack = packWith();
    expect(await outcomes([pack.act('install', accepted), pack.act('install', accepted)])).toEqual(['downloading', 'downloading']);
    expect(await outcomes([pack.act('pause', plain), pack.act('pause', plain)])).toEqual(['paused', 'cuda_pack_busy']);
    server.bytesPerSecond = null;
    expect(await settled(pack, pack.act('install', plain))).toMatchObject({ state: 'installed', error: null });
    expectWhole();
  });

  test('an installation that is removed meanwhile leaves nothing', async () => {
    server.bytesPerSecond = 1_000_000;
    const pack = packWith();
    await pack.act('install', accepted);
    expect(await outcomes([pack.act('remove', plain), pack.act('remove', plain)])).toEqual(['absent', 'cuda_pack_busy']);
    expect(existsSync(packsDirOf(folder)) ? readdirSync(packsDirOf(folder)) : []).toEqual([]);
  });

  test('verify and install, twice each, leave a whole pack', async () => {
    const pack = packWith();
    await settled(pack, pack.act('install', accepted));
    const calls = (['verify', 'install', 'verify', 'install'] as const).map((action) => pack.act(action, plain));
    for (const outcome of await outcomes(calls)) expect(['verifying', 'installed', 'cuda_pack_busy']).toContain(outcome);
    expect(await settled(pack, pack.entry())).toMatchObject({ state: 'installed' });
    expectWhole();
  });
});

describe('files of the pack that are damaged', () => {
  test('a mark of damage that cannot be read still keeps the pack out of use', async () => {
    const pack = packWith();
    await settled(pack, pack.act('install', accepted));
    writeFileSync(join(packDir(), 'damaged.json'), '{"mess');
    expect(await pack.entry()).toMatchObject({ state: 'damaged', error: { code: 'cuda_pack_damaged' } });
    expect(findPack(packsDirOf(folder), ORT_VERSION)).toBeNull();
  });

  test('one damaged value in the progress costs that archive only', async () => {
    server.fault = (path) => (path.includes('cublas') ? 'flip' : null);
    const pack = packWith();
    await settled(pack, pack.act('install', accepted));
    const path = join(packsDirOf(folder), `${standIn.plan.version}.part/progress.json`);
    const progress = JSON.parse(readFileSync(path, 'utf8'));
    progress.unpacked['f'.repeat(64)] = 'of a later version';
    writeFileSync(path, JSON.stringify(progress));
    server.fault = () => null;
    const before = server.sentBytes;
    expect(await settled(pack, pack.act('install', plain))).toMatchObject({ state: 'installed' });
    expect(server.sentBytes - before).toBe(standIn.plan.archives[1]?.sizeBytes);
  });
});
