// Tests the real CUDA pack on a machine without a card: npm run cuda-selftest -- --accept-licences [--index URL]
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { followInstallation } from '#main/cli/follow-installation.ts';
import { loadCommandConfig } from '#main/config/command-config.ts';
import { createDeviceProbes } from '#main/engine/probe-devices.ts';
import { createNodeSpawn } from '#main/engine/spawn-node.ts';
import { formatBytes } from '#main/lib/format-bytes.ts';
import { onnxruntimeVersion } from '#main/lib/onnxruntime-version.ts';
import { entryFile, programDir } from '#main/lib/program-files.ts';
import { engineEnvironment, withLibraries } from '#main/studio/engine-environment.ts';
import { localCudaPack } from '#main/studio/local-cuda-pack.ts';
import type { Gpu } from '#shared/domain/device.ts';

const run = promisify(execFile);
/** ONNX Runtime's error when all of its libraries were found and the driver reports no card. */
const LAST_LINK = /CUDA failure 100/;
const silent = { warn: () => {} };

/** A card as the driver would report it, so that the probe reaches ONNX Runtime. */
const pretended: Gpu = { name: 'a card that is only pretended', driver: '580.65.06', compute_capability: '8.9', total_bytes: null, free_bytes: null };

/**
 * Installs the pack into a new folder, verifies it, and starts an engine with it on a fake driver that reports no card (`tests/fakes/libcuda.c`): the error
 * of ONNX Runtime then shows that every library in between was found and loaded. Without the fake driver the doctor must report the missing GPU, and the CPU
 * must still generate an image. Prints each step; throws at the first that fails.
 */
async function selfTest(index: string | undefined, hasAccepted: boolean): Promise<void> {
  const config = loadCommandConfig({ 'wheel-index': index }, []);
  const folder = await mkdtemp(join(tmpdir(), 'cuda-selftest-'));
  const dataDir = join(folder, 'data');
  const pack = localCudaPack({ config: { ...config, dataDir }, bytesPerSecond: () => null, isInUse: () => false, log: silent });
  const startedAt = performance.now();
  const step = (text: string): void => console.log(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${text}`);
  try {
    const installed = await followInstallation('CUDA pack', await pack.act('install', { accept_licences: hasAccepted }), pack.watch);
    if (installed.state !== 'installed' || installed.path === null) throw failed(`the pack is ${installed.state}: ${installed.error?.message ?? ''}`);
    step(
      `installed ${installed.version} from ${installed.source}: ${formatBytes(installed.bytes_total)} fetched, ${formatBytes(installed.installed_bytes)} on the disk`,
    );
    const verified = await followInstallation('CUDA pack', await pack.act('verify', { accept_licences: false }), pack.watch);
    if (verified.state !== 'installed') throw failed(`the files are not what was installed: ${verified.error?.message ?? ''}`);
    step('every file has the hash that it was installed with, and the provider names our version of ONNX Runtime');

    const answer = await probeWithStandIn(dataDir, folder);
    if (!LAST_LINK.test(answer)) throw failed(`ONNX Runtime did not come as far as the driver, it says: ${answer}`);
    step(`an engine with the pack and a driver without a card: ${answer}`);

    const { stdout: report } = await run(process.execPath, [entryFile('cli/main.ts'), 'doctor', '--data-dir', dataDir]);
    const line = /There is no NVIDIA GPU[^\n]*/.exec(report)?.[0];
    if (line === undefined) throw failed(`the doctor does not say that there is no NVIDIA GPU:\n${report}`);
    step(`the doctor: ${line}`);

    const image = join(folder, 'image.png');
    await mkdir(join(folder, 'outputs'));
    const options = ['--prompt', 'a small house', '--width', '256', '--height', '256', '--steps', '2', '--no-upscale', '--out', image, '--data-dir', dataDir];
    await run(process.execPath, [entryFile('cli/main.ts'), 'generate', ...options]);
    step(`the CPU still generated an image of ${(await stat(image)).size} bytes`);
  } finally {
    await pack.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function probeWithStandIn(dataDir: string, folder: string): Promise<string> {
  const stubDir = join(folder, 'driver');
  await mkdir(stubDir);
  await run('cc', ['-shared', '-fPIC', '-o', join(stubDir, 'libcuda.so.1'), join(programDir, 'tests/fakes/libcuda.c')]).catch((cause: unknown) => {
    throw failed('a C compiler named cc is needed for the stand-in of the driver (Debian: apt install gcc)', cause);
  });
  const environment = engineEnvironment(dataDir);
  const spawn = createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: (provider) => withLibraries(environment(provider), stubDir, process.platform) });
  const probes = createDeviceProbes({
    spawn,
    memoryPath: join(folder, 'devices.json'),
    ortVersion: onnxruntimeVersion(),
    detectGpus: async () => [pretended],
    missingFor: () => null,
    platform: process.platform,
    threads: 1,
    binding: 'c-api',
    active: () => [],
    log: silent,
  });
  const { devices } = await probes.list();
  return devices.find(({ provider }) => provider === 'cuda')?.reason ?? 'nothing';
}

function failed(what: string, cause?: unknown): Error {
  return new Error(`The self-test of the CUDA pack failed: ${what}.`, { cause });
}

const { values } = parseArgs({ options: { index: { type: 'string' }, 'accept-licences': { type: 'boolean', default: false } } });
await selfTest(values.index, values['accept-licences']);
