import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { findCompiledCheckpoint } from '#main/compiler/find-compilation.ts';
import { loadCommandConfig } from '#main/config/command-config.ts';
import { pathOption, readCommandOptions } from '#main/config/command-options.ts';
import { missingVcRuntime, windowsSystemFolder } from '#main/config/vc-runtime.ts';
import { findPack, packsDirOf, readPack } from '#main/cuda-pack/pack-folder.ts';
import type { EngineConfig } from '#main/engine/device-state.ts';
import { freeMemory } from '#main/engine/free-memory.ts';
import { graphTarget } from '#main/engine/graph-target.ts';
import { createNodeSpawn } from '#main/engine/spawn-node.ts';
import { memoryNeeds, planMemory } from '#main/inference/memory-plan.ts';
import { bindingInUse } from '#main/inference/ort.ts';
import type { CompiledCheckpoint } from '#main/lib/compiled.ts';
import { formatBytes } from '#main/lib/format-bytes.ts';
import { onnxruntimeVersion } from '#main/lib/onnxruntime-version.ts';
import { orAppError } from '#main/lib/or-app-error.ts';
import { entryFile, onnxruntimeDir, programDir, resourcesDir } from '#main/lib/program-files.ts';
import { programVersion } from '#main/lib/program-version.ts';
import { unlessMissing } from '#main/lib/unless-missing.ts';
import { diskSpaceOf, replaceFile } from '#main/lib/write-file.ts';
import { openModelRegistry } from '#main/models/registry.ts';
import { chooseEngines } from '#main/studio/choose-engines.ts';
import { deviceProbes } from '#main/studio/device-probes.ts';
import { engineEnvironment } from '#main/studio/engine-environment.ts';
import { type Devices, deviceParts } from '#shared/domain/device.ts';
import { AppError } from '#shared/protocol/errors.ts';

export const usage = `Usage: npm run doctor -- [--data-dir DIR] [--again] [--report]

Prints which devices of this machine can run models and why the others cannot, for bug reports.
Each device is probed in its own process; --again repeats earlier probes.
--report also writes all of it, with the versions of the CUDA pack and the last run of bench/gpu.sh, to report.txt in the data folder.`;

export const optionsSchema = z.object({ 'data-dir': pathOption.optional(), again: z.boolean().default(false), report: z.boolean().default(false) });

export async function doctor(argv: readonly string[]): Promise<void> {
  const { 'data-dir': dir, again, report } = readCommandOptions(optionsSchema, usage, argv);
  const lines: string[] = [];
  const print = (text: string): void => {
    lines.push(text);
    console.log(text);
  };
  const { dataDir, hub, device, accuracy, memory, binding } = loadCommandConfig({ 'data-dir': dir }, ['device', 'accuracy', 'memory', 'binding']);
  const log = { warn: (_: object, message: string) => console.error(message) };
  print(`Z-Image-Turbo Studio ${programVersion()}, Node.js ${process.version}`);
  print(`${platform()} ${release()} ${arch()}; ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${availableParallelism()} threads`);
  print(`memory: ${formatBytes(freemem())} of ${formatBytes(totalmem())} free`);
  print(`data folder: ${dataDir}, ${await freeOf(dataDir)}`);
  printWindows(print);
  print(`downloads: ${hub.cacheDir}, ${await freeOf(hub.cacheDir)}; from ${hub.endpoint}${hub.token === null ? '' : ', with a token'}`);

  const spawn = createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: engineEnvironment(dataDir) });
  const probes = deviceProbes({ spawn, dataDir, binding, active: () => [], log });
  const found = await probes.list(again);
  const engines = await orAppError(chooseEngines({ device, accuracy, memory, binding, priority: null, dataDir }, probes));
  const chosen: EngineConfig[] = engines instanceof AppError ? [] : engines;
  const inUse = new Set(chosen.map((engine) => deviceParts(engine.device).provider));
  printDevices(print, { ...found, devices: found.devices.map((one) => ({ ...one, active: inUse.has(one.provider) })) }, device);
  const { binding: called, reason } = await bindingInUse(binding);
  print(`\nONNX Runtime ${found.onnxruntime} is called by ${called === 'c-api' ? 'its C API' : 'onnxruntime-node'}: ${reason}`);
  print(engines instanceof AppError ? `\n${engines.message}` : '\nImages are generated on:');
  for (const { device: name, deviceReason, gpuPrecision } of chosen) print(`  ${name}${gpuPrecision ? ` in ${gpuPrecision}` : ''}: ${deviceReason}`);

  print('\nmodels');
  const { registry } = await openModelRegistry({ resourcesDir, dataDir, checkpointDirs: [], cacheDir: hub.cacheDir, log });
  for (const { name, modelType, fingerprint, sizeBytes } of await registry.list()) {
    print(`  ${name}: ${modelType}, ${formatBytes(sizeBytes)}, ${fingerprint.slice(0, 12)}`);
    for (const engine of chosen) {
      const compiled = await findCompiledCheckpoint(join(dataDir, 'compiled'), fingerprint, graphTarget(engine, engine.accuracy));
      const sentence =
        compiled === null ? `not compiled for ${engine.device} yet: its memory is planned before the first image` : await memorySentence(compiled, engine);
      print(`    ${sentence}`);
    }
  }
  printPack(print, dataDir);
  if (!report) return;
  const measured = await unlessMissing(readFile(join(programDir, '.cache/gpu.log'), 'utf8'), 'bench/gpu.sh has not run here.');
  const path = join(dataDir, 'report.txt');
  await mkdir(dataDir, { recursive: true });
  await replaceFile(path, Buffer.from(`${lines.join('\n')}\n\nbench/gpu.sh\n${measured}\n`));
  console.log(`\nwritten to ${path}`);
}

/** What ONNX Runtime and the CUDA pack depend on outside of this program's folders. */
function printWindows(print: (text: string) => void): void {
  if (process.platform !== 'win32') return;
  print(missingVcRuntime(onnxruntimeDir) ?? 'Visual C++ runtime: found');
  const foreign = join(windowsSystemFolder(), 'cudnn64_9.dll');
  if (existsSync(foreign)) print(`${foreign} is loaded in place of the CUDA pack's: move it away if CUDA fails.`);
}

function printPack(print: (text: string) => void, dataDir: string): void {
  const dir = findPack(packsDirOf(dataDir), onnxruntimeVersion());
  const pack = dir === null ? null : readPack(dir);
  if (pack === null) return;
  print(`\nCUDA pack ${pack.version} for ONNX Runtime ${pack.onnxruntime}, from ${pack.source}`);
  for (const { name, size_bytes, sha256 } of pack.files) print(`  ${name}: ${formatBytes(size_bytes)}, ${sha256.slice(0, 12)}`);
}

const PLANNED_SIDE_PX = 1024;

/** The memory plan of an image of the usual size. */
async function memorySentence(compiled: CompiledCheckpoint, { device, memory }: EngineConfig): Promise<string> {
  const needs = memoryNeeds(compiled, { width: PLANNED_SIDE_PX, height: PLANNED_SIDE_PX });
  const { plan, needBytes, freeBytes } = planMemory(needs, await freeMemory(device), device !== 'cpu', memory);
  const free = freeBytes === null ? 'free memory unknown' : `${formatBytes(freeBytes)} free`;
  return `${PLANNED_SIDE_PX} x ${PLANNED_SIDE_PX} on ${device}: memory plan ${plan}, ${formatBytes(needBytes)} at most, ${free}`;
}

function printDevices(print: (text: string) => void, { gpus, devices, onnxruntime }: Devices, chosen: string): void {
  print(`\nNVIDIA cards${gpus.length === 0 ? ': none found' : ''}`);
  for (const { name, driver, compute_capability, total_bytes, free_bytes } of gpus) {
    const memory = total_bytes === null || free_bytes === null ? '' : `, ${formatBytes(free_bytes)} of ${formatBytes(total_bytes)} free`;
    print(`  ${name}: driver ${driver}, compute capability ${compute_capability ?? 'unknown'}${memory}`);
  }
  print(`\ndevices (ONNX Runtime ${onnxruntime}, --device ${chosen})`);
  for (const { provider, state, reason, milliseconds, active, needs, known_faults } of devices) {
    print(`  ${provider}: ${state}${milliseconds === null ? '' : `, ${milliseconds} ms`}${active ? ', in use' : ''}`);
    print(`    ${reason}`);
    if (state !== 'works') print(`    It needs ${needs}.`);
    for (const fault of known_faults) print(`    Known: ${fault}`);
  }
}

/** Free space for a folder; for one that does not exist yet, of the nearest folder above it. */
async function freeOf(dir: string): Promise<string> {
  try {
    const space = await diskSpaceOf(dir);
    return space === null ? 'free space unknown' : `${formatBytes(space.freeBytes)} free`;
  } catch {
    const above = join(dir, '..');
    return above === dir ? 'missing' : freeOf(above);
  }
}
