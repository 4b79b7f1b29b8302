import { readFileSync } from 'node:fs';
import { createPackInstaller } from '#main/cuda-pack/pack-installer.ts';
import { createHttpClient } from '#main/downloads/http-client.ts';
import { makeStandInPack, ORT_VERSION } from '../support/stand-in-pack.ts';

/** Installs the stand-in for the CUDA pack in a process that a test can kill: its data folder, the server's origin, a file for the copied library, its size. */
const [dataDir = '', origin = '', libraryPath = '', providerBytes = ''] = process.argv.slice(2);
const pack = createPackInstaller({
  dataDir,
  plan: makeStandInPack('wheels', readFileSync(libraryPath), { providerBytes: Number(providerBytes) }).plan,
  onnxruntime: ORT_VERSION,
  libraryPath,
  source: { index: new URL(`${origin}/simple`), vendors: { onnxruntime: origin, cuda: origin, cudnn: origin } },
  http: createHttpClient({ origin: origin, token: null, proxies: { http: '', https: '', none: '*' } }),
  bytesPerSecond: () => null,
  isInUse: () => false,
  log: console,
});
pack.watch(({ state }) => {
  if (state === 'installed') process.exit(0);
  if (state === 'failed') process.exit(1);
});
await pack.act('install', { accept_licences: true });
