import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { readCommandLine, readCommandOptions } from '#main/config/command-options.ts';
import { type ModelEntry, modelEntrySchema } from '#shared/domain/model.ts';
import { newModelNamed } from '#shared/domain/new-model-named.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { modelsSchema } from '#shared/protocol/http.ts';
import type { Studio } from '../../clients/js/zimage.js';
import { clientOptions, connect, connectOrStart, type ServerStarter } from './connect.ts';
import { megabytes, printItems } from './print.ts';
import { createProgressLine } from './progress-line.ts';

const modelsUsage = `Usage: zimage models [--json] [--url URL]

Lists the models that are installed and those that can be.`;
const pullUsage = `Usage: zimage pull NAME [--json] [--url URL]

Downloads a model of the list, or OWNER/NAME of a repository, and waits for it. Ctrl+C leaves the download to the server.`;
const rmUsage = `Usage: zimage rm NAME [--json] [--url URL]

Deletes a downloaded model; a folder of your own is only forgotten.`;
export const optionsSchema = z.object(clientOptions);

const POLL_MS = 500;
const columns = {
  NAME: ({ name, active }: ModelEntry) => `${name}${active ? ' (in use)' : ''}`,
  KIND: ({ kind }: ModelEntry) => kind,
  STATE: ({ state }: ModelEntry) => state,
  SIZE: ({ bytes_total }: ModelEntry) => megabytes(bytes_total),
  LICENSE: ({ license }: ModelEntry) => license,
};

export async function listModels(argv: readonly string[], starter: ServerStarter): Promise<void> {
  const options = readCommandOptions(optionsSchema, modelsUsage, argv);
  const { studio, close } = await connectOrStart(options, starter);
  try {
    printItems(await entries(studio), options, columns, 'no models');
  } finally {
    await close();
  }
}

export async function pull(argv: readonly string[], starter: ServerStarter): Promise<void> {
  const { name, options } = nameAnd(argv, pullUsage);
  const { studio, close } = await connectOrStart(options, starter);
  process.once('SIGINT', () => process.exit(130));
  const line = createProgressLine();
  try {
    const isKnown = (await entries(studio)).some((model) => model.name === name);
    let model = isKnown
      ? await act(studio, name, 'install')
      : modelEntrySchema.parse(await studio.call('/api/models', { method: 'POST', body: newModelNamed(name) }));
    while (['queued', 'downloading', 'verifying'].includes(model.state)) {
      if (options.json) process.stdout.write(`${JSON.stringify(model)}\n`);
      else line.show(progressOf(model), model.state);
      await delay(POLL_MS);
      model = (await entries(studio)).find((one) => one.name === model.name) ?? model;
    }
    line.end();
    report(model, 'installed', options);
  } finally {
    await close();
  }
}

export async function rm(argv: readonly string[], starter: ServerStarter): Promise<void> {
  const { name, options } = nameAnd(argv, rmUsage);
  const { studio, close } = await connect(options, starter);
  try {
    report(await act(studio, name, 'remove'), 'absent', options);
  } finally {
    await close();
  }
}

function nameAnd(argv: readonly string[], usage: string): { name: string; options: z.infer<typeof optionsSchema> } {
  const { words, options } = readCommandLine(optionsSchema, usage, argv);
  const [name, ...more] = words;
  if (name === undefined || more.length > 0) throw new AppError('bad_option', usage, { option: words.join(' ') });
  return { name, options };
}

async function entries(studio: Studio): Promise<ModelEntry[]> {
  return modelsSchema.parse(await studio.call('/api/models')).models;
}

async function act(studio: Studio, name: string, action: 'install' | 'remove'): Promise<ModelEntry> {
  return modelEntrySchema.parse(await studio.call(`/api/models/${encodeURIComponent(name)}/${action}`, { method: 'POST' }));
}

function report(model: ModelEntry, wanted: ModelEntry['state'], { json }: { json: boolean }): void {
  if (json) process.stdout.write(`${JSON.stringify(model)}\n`);
  else process.stdout.write(`${model.name}: ${model.state}\n`);
  if (model.error !== null) process.stderr.write(`${model.error.message}\n`);
  if (model.state !== wanted) process.exitCode = 1;
}

function progressOf({ name, state, bytes_done, bytes_total, bytes_per_second, seconds_left }: ModelEntry): string {
  const share = bytes_total === 0 ? 0 : Math.floor((100 * bytes_done) / bytes_total);
  const speed = bytes_per_second === null ? '' : `, ${megabytes(bytes_per_second)}/s`;
  return `${name}: ${state} ${share} % of ${megabytes(bytes_total)}${speed}${seconds_left === null ? '' : `, ${seconds_left} s left`}`;
}
