import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { assertCanCompile } from '#main/compiler/assert-can-compile.ts';
import { findCompilation } from '#main/compiler/find-compilation.ts';
import { inspectExtra, readExtraMetadata } from '#main/compiler/inspect-extra.ts';
import { loadCommandConfig } from '#main/config/command-config.ts';
import { pathOption, readCommandOptions, readCommandWords } from '#main/config/command-options.ts';
import { lockDataFolder } from '#main/jobs/store/instance-lock.ts';
import { formatBytes } from '#main/lib/format-bytes.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { createModelLibrary } from '#main/models/create-library.ts';
import { createHubClient } from '#main/models/hub/hub-client.ts';
import type { ModelLibrary } from '#main/models/library.ts';
import { type ModelEntry, type NewModel, newModelSchema } from '#shared/domain/model.ts';
import { newModelNamed } from '#shared/domain/new-model-named.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { followInstallation, stopOnInterrupt } from './follow-installation.ts';

export const usage = `Usage: npm run models -- COMMAND [--data-dir DIR]

  list              installed and available models
  install NAME      download it, or resume its download; NAME as in the list, or OWNER/NAME of a repository,
                    with /FILE.safetensors for one of several LoRAs or ControlNets
  add PATH          use a checkpoint folder, a LoRA or a ControlNet of this machine in place
  use NAME          make it the active model of its kind
  verify NAME       hash all its files again
  remove NAME       delete what was downloaded; your own folders are kept on the disk

HF_ENDPOINT sets a mirror, HF_TOKEN a token for gated repositories, HF_HOME the folder for downloads and
HTTPS_PROXY a proxy. An interrupted download (Ctrl+C) is resumed by the same command.`;

export const optionsSchema = z.object({ 'data-dir': pathOption.optional() });
const commands = ['install', 'add', 'use', 'verify', 'remove'] as const;

/** The list goes to standard output, progress to standard error. Exits with 1 if the model does not reach the wanted state. */
export async function models(argv: readonly string[]): Promise<void> {
  const { words, options } = readCommandWords(argv);
  const { 'data-dir': dir } = readCommandOptions(optionsSchema, usage, options);
  const config = loadCommandConfig({ 'data-dir': dir }, []);
  const [command = '', name = '', ...more] = words;
  const isList = command === 'list' && name === '';
  const known = commands.find((candidate) => candidate === command);
  if (!isList && (known === undefined || name === '' || more.length > 0)) throw new AppError('bad_option', usage, { option: command });

  const { dataDir } = config;
  await mkdir(dataDir, { recursive: true });
  // a list changes nothing, so it works beside a running server
  const unlock = isList ? () => {} : await lockDataFolder(dataDir);
  const hub = createHubClient(config.hub);
  const library = createModelLibrary({
    resourcesDir,
    dataDir,
    checkpointDirs: [],
    cacheDir: config.hub.cacheDir,
    hub,
    compilationOf: (identity) => findCompilation(join(dataDir, 'compiled'), identity, null),
    assertCanRun: assertCanCompile,
    extraReader: { inspect: inspectExtra, metadata: readExtraMetadata },
    log: { warn: (_, message) => console.error(message) },
  });
  stopOnInterrupt();
  try {
    if (isList || known === undefined) printList(await library.entries());
    else await run(library, known, name);
  } finally {
    await library.close();
    await hub.close();
    unlock();
  }
}

async function run(library: ModelLibrary, command: (typeof commands)[number], name: string): Promise<void> {
  let entry: ModelEntry;
  if (command === 'add') entry = await library.add(newModel(newModelNamed(resolve(name))));
  else if (command === 'install') entry = await installed(library, name);
  else if (command === 'verify') entry = await followed(library, await library.act(name, command));
  else entry = await library.act(name, command);
  const { state, error, source } = entry;
  if (error !== null) console.error(error.message);
  console.log(`${entry.name}: ${state}${source.path === null ? '' : ` in ${source.path}`}`);
  const wanted = command === 'remove' ? 'absent' : 'installed';
  if (state !== wanted) process.exitCode = 1;
}

async function installed(library: ModelLibrary, name: string): Promise<ModelEntry> {
  const isKnown = (await library.entries()).some((entry) => entry.name === name);
  library.start();
  return followed(library, isKnown ? await library.act(name, 'install') : await library.add(newModel(newModelNamed(name))));
}

function followed(library: ModelLibrary, begun: ModelEntry): Promise<ModelEntry> {
  const watch = (listener: (entry: ModelEntry) => void) =>
    library.watch((entry) => {
      if (entry.name === begun.name) listener(entry);
    });
  return followInstallation(begun.name, begun, watch);
}

function printList(models: readonly ModelEntry[]): void {
  for (const { name, kind, state, active, license, bytes_total, bytes_done, source, identity, error, compilation } of models) {
    const whole = formatBytes(bytes_total);
    // before its file list was fetched, a model has the catalog's estimate
    const size = state === 'installed' ? whole : state === 'absent' ? `about ${whole}` : `${formatBytes(bytes_done)} of ${whole}`;
    console.log(`${name}${active ? '  (in use)' : ''}\n  ${kind}, ${state}, ${size}, ${license}`);
    if (source.path !== null) console.log(`  ${source.path}`);
    if (identity !== null) console.log(`  identity ${identity}`);
    if (compilation !== null) {
      const unpacked = compilation.graphs.reduce((sum, { unpacked_bytes }) => sum + unpacked_bytes, 0);
      console.log(`  compiled in ${(compilation.milliseconds / 1000).toFixed(1)} s, ${formatBytes(unpacked)} written`);
    }
    if (error !== null) console.log(`  ${error.message}`);
  }
}

function newModel(model: NewModel): NewModel {
  const parsed = newModelSchema.safeParse(model);
  if (parsed.success) return parsed.data;
  throw new AppError('bad_option', `${Object.values(model).join('')}: ${parsed.error.issues[0]?.message}.\n\n${usage}`, { option: '' });
}
