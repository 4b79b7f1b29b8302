import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createPackInstaller } from '#main/cuda-pack/pack-installer.ts';
import { createHttpClient } from '#main/downloads/http-client.ts';
import { createDeviceProbes } from '#main/engine/probe-devices.ts';
import { createNodeSpawn } from '#main/engine/spawn-node.ts';
import { onnxruntimeVersion } from '#main/lib/onnxruntime-version.ts';
import { entryFile, packagesDir } from '#main/lib/program-files.ts';
import { makeStandInPack, startPackServer } from '../../tests/support/stand-in-pack.ts';
import { engineEnvironment, withLibraries } from './engine-environment.ts';

const libraryPath = join(packagesDir, 'onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1');

test('the folder of the libraries goes before what was there, under the name that the system has for it', () => {
  expect(withLibraries({ A: '1' }, '/data/cuda/1', 'linux')).toEqual({ A: '1', LD_LIBRARY_PATH: '/data/cuda/1' });
  expect(withLibraries({ LD_LIBRARY_PATH: '/opt/lib' }, '/data/cuda/1', 'linux')).toEqual({ LD_LIBRARY_PATH: '/data/cuda/1:/opt/lib' });
  expect(withLibraries({ Path: 'C:\\Windows' }, 'D:\\cuda', 'win32')).toEqual({ Path: 'D:\\cuda;C:\\Windows' });
});

test('a real engine for CUDA loads the provider out of the installed pack, and one for the CPU computes right beside it', async (context) => {
  context.skip(process.platform !== 'linux' || !existsSync(libraryPath), 'the stand-in is a pack for Linux on x64');
  const dataDir = mkdtempSync(join(tmpdir(), 'engine-environment-'));
  const version = onnxruntimeVersion();
  // of the right version by its mark, and noise to the loader
  const standIn = makeStandInPack('wheels', readFileSync(libraryPath), { onnxruntime: version, providerVersion: version, providerBytes: 100_000 });
  const server = await startPackServer(standIn.served);
  const http = createHttpClient({ origin: server.origin, token: null, proxies: { http: '', https: '', none: '*' } });
  const pack = createPackInstaller({
    dataDir,
    plan: standIn.plan,
    onnxruntime: version,
    libraryPath,
    source: { index: new URL(`${server.origin}/simple`), vendors: { onnxruntime: server.origin, cuda: server.origin, cudnn: server.origin } },
    http,
    bytesPerSecond: () => null,
    isInUse: () => false,
    log: { warn: () => {} },
  });
  onTestFinished(async () => {
    await pack.close();
    await http.close();
    await server.close();
    rmSync(dataDir, { recursive: true });
  });
  const environment = engineEnvironment(dataDir);
  expect(environment('cuda')['LD_LIBRARY_PATH']).toBe(process.env['LD_LIBRARY_PATH']);
  const installed = new Promise<string | null>((resolve) => pack.watch(({ state, path }) => state === 'installed' && resolve(path)));
  await pack.act('install', { accept_licences: true });
  const path = await installed;
  expect(environment('cuda')['LD_LIBRARY_PATH']?.split(':')[0]).toBe(path);
  expect(environment('cpu')['LD_LIBRARY_PATH']).toBe(process.env['LD_LIBRARY_PATH']);

  const probes = createDeviceProbes({
    spawn: createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: environment }),
    memoryPath: join(dataDir, 'devices.json'),
    ortVersion: version,
    detectGpus: async () => [{ name: 'a card', driver: '580.1', compute_capability: '8.9', total_bytes: null, free_bytes: null }],
    missingFor: () => null,
    platform: 'linux',
    threads: 1,
    binding: 'auto',
    active: () => [],
    log: { warn: () => {} },
  });
  expect(await probes.check('cuda', 'fast')).toMatchObject({
    state: 'refused',
    reason: expect.stringMatching(/libonnxruntime_providers_(cuda|shared)\.so: invalid ELF header/),
  });
  expect(await probes.check('cpu', 'fast')).toMatchObject({ state: 'works' });
});
