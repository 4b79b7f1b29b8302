import { z } from 'zod';
import { readCommandLine, readCommandOptions } from '#main/config/command-options.ts';
import { type JobRecord, jobPageSchema, queueSummarySchema } from '#shared/domain/job-record.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { Studio } from '../../clients/js/zimage.js';
import { clientOptions, connect, type ServerStarter } from './connect.ts';
import { printItems } from './print.ts';

const psUsage = `Usage: zimage ps [--json] [--url URL]

Lists the jobs that run or wait, in the order in which they started or will start.`;
const queueUsage = `Usage: zimage queue [pause|resume|clear] [--json] [--url URL]

Shows the queue, or pauses it, resumes it, or cancels every waiting job.`;
const cancelUsage = `Usage: zimage cancel ID... [--url URL]

Cancels jobs by their id or its first characters. A job that another client wants goes on for that client.`;
export const optionsSchema = z.object(clientOptions);

const ID_LENGTH = 12;
const MIN_PREFIX = 4;
const PAGE = 500;
const columns = {
  ID: ({ job_id }: JobRecord) => job_id.slice(0, ID_LENGTH),
  STATUS: ({ status, position }: JobRecord) => (position === null ? status : `${status} ${position}`),
  SIZE: ({ params }: JobRecord) => `${params.width}x${params.height}`,
  STEPS: ({ params }: JobRecord) => ('steps' in params ? params.steps : ''),
  PROMPT: ({ params }: JobRecord) => shortened('prompt' in params ? params.prompt : `upscale ${params.scale}x`),
};

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

export async function ps(argv: readonly string[], starter: ServerStarter): Promise<void> {
  const options = readCommandOptions(optionsSchema, psUsage, argv);
  const { studio, close } = await connect(options, starter);
  printItems(await unfinished(studio), options, columns, 'no jobs');
  await close();
}

export async function queue(argv: readonly string[], starter: ServerStarter): Promise<void> {
  const { words, options } = readCommandLine(optionsSchema, queueUsage, argv);
  const action = z.enum(['show', 'pause', 'resume', 'clear']).safeParse(words[0] ?? 'show');
  if (!action.success || words.length > 1) throw new AppError('bad_option', queueUsage, { option: words.join(' ') });
  const { studio, close } = await connect(options, starter);
  const request = action.data === 'show' ? {} : { method: 'POST', body: { action: action.data } };
  const summary = queueSummarySchema.parse(await studio.call('/api/queue', request));
  await close();
  if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  else process.stdout.write(`${summary.running} running, ${summary.waiting} of at most ${summary.limit} waiting${summary.paused ? ', paused' : ''}\n`);
}

export async function cancel(argv: readonly string[], starter: ServerStarter): Promise<void> {
  const { words, options } = readCommandLine(optionsSchema, cancelUsage, argv);
  if (words.length === 0) throw new AppError('bad_option', cancelUsage, { option: '' });
  const { studio, close } = await connect(options, starter);
  try {
    const jobs = await unfinished(studio);
    const ids = words.map((word) => idOf(word, jobs));
    for (const id of ids) {
      const answer = await studio.cancel(id);
      process.stdout.write(options.json ? `${JSON.stringify(answer)}\n` : `${id.slice(0, ID_LENGTH)} ${answer.status}\n`);
    }
  } finally {
    await close();
  }
}

function idOf(word: string, jobs: readonly JobRecord[]): string {
  const found = jobs.filter(({ job_id }) => job_id.startsWith(word));
  if (word.length >= MIN_PREFIX && found[0] !== undefined && found.length === 1) return found[0].job_id;
  const reason =
    found.length > 1 ? `${found.length} jobs begin with it; give more characters` : `give at least ${MIN_PREFIX} characters of an id that zimage ps lists`;
  throw new AppError('unknown_job', `There is no unfinished job ${JSON.stringify(word)}: ${reason}.`, {});
}

/** Running jobs first, then waiting ones in their order. */
async function unfinished(studio: Studio): Promise<JobRecord[]> {
  const pages = await Promise.all(
    (['generated', 'processing', 'pending'] as const).map(
      async (status) => jobPageSchema.parse(await studio.call(`/api/jobs?status=${status}&limit=${PAGE}`)).jobs,
    ),
  );
  return pages.flat().toSorted((one, other) => (one.position ?? 0) - (other.position ?? 0));
}
