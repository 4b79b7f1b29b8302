import { mkdir } from 'node:fs/promises';
import { z } from 'zod';
import { loadCommandConfig } from '#main/config/command-config.ts';
import { pathOption, readCommandOptions, readCommandWords } from '#main/config/command-options.ts';
import type { CudaPack } from '#main/cuda-pack/cuda-pack.ts';
import { detectNvidia, unsupportedReason } from '#main/engine/nvidia.ts';
import { lockDataFolder } from '#main/jobs/store/instance-lock.ts';
import { formatBytes } from '#main/lib/format-bytes.ts';
import { localCudaPack } from '#main/studio/local-cuda-pack.ts';
import type { CudaPackEntry } from '#shared/domain/cuda-pack.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { followInstallation, stopOnInterrupt } from './follow-installation.ts';

export const usage = `Usage: npm run cuda -- COMMAND [--index URL] [--accept-licences] [--data-dir DIR]

  list                NVIDIA cards, the CUDA pack and its licences
  install             download and unpack the CUDA libraries of ONNX Runtime and NVIDIA, or resume that
  verify              hash all files of the pack again
  remove [VERSION]    delete the pack, or another version of it

--index URL is a Python package index to download wheels from; without it the files come from the sites of ONNX
Runtime and NVIDIA. --accept-licences confirms that you have read and accept the licences in the list.`;

export const optionsSchema = z.object({
  index: z.string().min(1).optional(),
  'accept-licences': z.boolean().default(false),
  'data-dir': pathOption.optional(),
});
const commands = ['list', 'install', 'verify', 'remove'] as const;

/** Results go to standard output, progress to standard error. Exits with 1 if the pack does not reach the wanted state. */
export async function cuda(argv: readonly string[]): Promise<void> {
  const { words, options: optionArguments } = readCommandWords(argv);
  const options = readCommandOptions(optionsSchema, usage, optionArguments);
  const [word = '', version, ...more] = words;
  const command = commands.find((candidate) => candidate === word);
  const takesVersion = command === 'remove';
  if (command === undefined || more.length > 0 || (version !== undefined && !takesVersion)) throw new AppError('bad_option', usage, { option: word });
  const config = loadCommandConfig({ 'data-dir': options['data-dir'], 'wheel-index': options.index }, []);

  await mkdir(config.dataDir, { recursive: true });
  // a list changes nothing, so it works beside a running server
  const unlock = command === 'list' ? () => {} : await lockDataFolder(config.dataDir);
  const pack = localCudaPack({ config, bytesPerSecond: () => null, isInUse: () => false, log: { warn: () => {} } });
  stopOnInterrupt();
  try {
    if (command === 'list') await printList(await pack.entry());
    else await run(pack, command, options['accept-licences'], version);
  } finally {
    await pack.close();
    unlock();
  }
}

async function run(pack: CudaPack, command: 'install' | 'verify' | 'remove', accept_licences: boolean, version: string | undefined): Promise<void> {
  const begun = await pack.act(command, { accept_licences, ...(version === undefined ? {} : { version }) });
  const { state, error, path } = await followInstallation('CUDA pack', begun, pack.watch);
  if (error !== null) console.error(error.message);
  console.log(`CUDA pack: ${state}${path === null ? '' : ` in ${path}`}`);
  if (command !== 'remove' && state !== 'installed') process.exitCode = 1;
}

async function printList(entry: CudaPackEntry): Promise<void> {
  const { state, version, onnxruntime, source, path, bytes_total, installed_bytes, error, licences, others } = entry;
  const gpus = await detectNvidia();
  console.log(`NVIDIA cards${gpus.length === 0 ? ': none found' : ''}`);
  for (const gpu of gpus) {
    console.log(`  ${gpu.name}: driver ${gpu.driver}, compute capability ${gpu.compute_capability ?? 'unknown'}`);
    const reason = unsupportedReason(gpu);
    if (reason !== null) console.log(`    ${reason}`);
  }
  console.log(`\nCUDA pack ${version} for ONNX Runtime ${onnxruntime}: ${state}${path === null ? '' : ` in ${path}`}`);
  if (error !== null) console.log(`  ${error.message}`);
  if (state !== 'unsupported')
    console.log(`  ${formatBytes(bytes_total)} or a little more to download from ${source}, ${formatBytes(installed_bytes)} on disk`);
  for (const other of others) console.log(`  also installed: ${other.version} for ONNX Runtime ${other.onnxruntime}, ${formatBytes(other.size_bytes)}`);
  console.log('\nlicences that --accept-licences accepts');
  for (const { name, covers, url } of licences) console.log(`  ${name}, for ${covers}\n    ${url}`);
}
