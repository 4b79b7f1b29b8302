import { randomInt } from 'node:crypto';
import { basename, extname, join } from 'node:path';
import { z } from 'zod';
import { pathOption, readCommandLine } from '#main/config/command-options.ts';
import { replaceFile } from '#main/lib/write-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { textToImageParamsSchema } from '#shared/protocol/messages.ts';
import type { Job, JobMessage, JobStatus, Studio } from '../../clients/js/zimage.js';
import { type Connected, clientOptions, connectOrStart, type ServerStarter } from './connect.ts';
import { createProgressLine, type ProgressLine } from './progress-line.ts';
import { assertWritable } from './save-result.ts';

const usage = `Usage: zimage PROMPT [options]

Makes an image and its 4x version. Prints the names of the files that it wrote.

  -o, --output FILE     file for the image; the 4x version gets -upscaled in its name
                        (the server's name for it, in the current folder)
  -n, --count NUMBER    number of images, with consecutive seeds (1)
  --size WIDTHxHEIGHT   multiples of 16 from 256 to 2048 (1024x1024)
  --seed NUMBER         (a random one)
  --steps NUMBER        1 to 50 (9)
  --guidance NUMBER     0 to 20 (0)
  --model-type NAME     uint4 or int8 (uint4)
  --no-upscale          only the image, without waiting for its 4x version
  --json                every message of the server as a line of JSON
  --url URL             the server (ZIMAGE_URL, else a running one on this machine,
                        else one that is started for this command)

Ctrl+C cancels what this command asked for and nobody else wants; a second one ends it at once.
Exit status: 0 done, 1 failed, 2 wrong option, 130 interrupted.`;

const wholeNumber = z
  .string()
  .regex(/^\d{1,16}$/, 'a whole number')
  .transform(Number);
export const optionsSchema = z.object({
  output: pathOption.optional(),
  count: z
    .string()
    .regex(/^([1-9]|[1-9]\d|100)$/, 'a whole number from 1 to 100')
    .transform(Number)
    .default(1),
  size: z
    .string()
    .regex(/^\d+x\d+$/, 'WIDTHxHEIGHT, such as 1024x768')
    .default('1024x1024'),
  seed: wholeNumber.optional(),
  steps: wholeNumber.optional(),
  guidance: z
    .string()
    .regex(/^\d+(\.\d+)?$/, 'a number')
    .transform(Number)
    .optional(),
  'model-type': z.string().optional(),
  'no-upscale': z.boolean().default(false),
  ...clientOptions,
});
type Options = z.infer<typeof optionsSchema>;
type Params = z.infer<typeof textToImageParamsSchema>;

const MAX_RANDOM_SEED = 2 ** 32;

export async function run(argv: readonly string[], starter: ServerStarter): Promise<void> {
  const { words, options } = readCommandLine(optionsSchema, usage, argv);
  const [prompt, ...more] = words;
  if (prompt === undefined || more.length > 0)
    throw new AppError('bad_option', `${prompt === undefined ? 'The prompt is missing' : 'Put the prompt in quotes'}.\n\n${usage}`, { option: '' });
  const all = paramsOf(prompt, options);
  const outputs = all.map((_, at) => outputFor(options.output, at, all.length));
  for (const path of outputs) if (path !== null) await assertWritable(path);

  const connected = await connectOrStart(options, starter);
  try {
    await runJobs(connected, all, outputs, options);
  } finally {
    await connected.close();
  }
}

async function runJobs({ studio }: Connected, all: readonly Params[], outputs: readonly (string | null)[], options: Options): Promise<void> {
  const jobs = all.map((params) => studio.create(params));
  const line = createProgressLine();
  let isInterrupted = false;
  const interrupt = (): void => {
    if (isInterrupted) process.exit(130);
    isInterrupted = true;
    process.exitCode = 130;
    line.end();
    process.stderr.write('cancelling; Ctrl+C again ends this command at once\n');
    // one that has ended needs no cancellation; closing the connection ends the wait for it
    void Promise.allSettled(jobs.map((job) => job.cancel())).then(() => studio.close());
  };
  process.on('SIGINT', interrupt);
  const outcomes = await Promise.allSettled(
    jobs.map((job, at) => finish(studio, job, { output: outputs[at] ?? null, label: all.length > 1 ? `${at + 1}/${all.length} ` : '', line, options })),
  );
  process.off('SIGINT', interrupt);
  line.end();
  if (isInterrupted) return;
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  if (!options.json) process.stderr.write(`seed ${all.map(({ seed }) => seed).join(', ')}\n`);
}

/** Follows one job to its end and saves its images. */
async function finish(
  studio: Studio,
  job: Job,
  { output, label, line, options }: { output: string | null; label: string; line: ProgressLine; options: Options },
): Promise<void> {
  let original: string | null = null;
  let last: JobStatus | null = null;
  for await (const message of job) {
    if (options.json) process.stdout.write(`${JSON.stringify(message)}\n`);
    else line.show(label + progressText(message), phaseOf(message));
    if (message.type !== 'job_status') continue;
    last = message;
    if (message.result !== undefined && original === null) {
      original = output ?? join(process.cwd(), message.result.filename);
      await save(studio, message.result.filename, original, line, options);
      if (options['no-upscale']) return;
    }
  }
  if (last?.status === 'completed' && original !== null) {
    await save(studio, last.result?.upscaled_filename ?? '', `${withoutExtension(original)}-upscaled${extname(original)}`, line, options);
    return;
  }
  throw new AppError('cancelled', last?.error ?? `The job is ${last?.status ?? 'unknown'}.`, {});
}

async function save(studio: Studio, filename: string, path: string, line: ProgressLine, { json }: Options): Promise<void> {
  await replaceFile(path, await studio.image(filename));
  line.end();
  if (json) process.stdout.write(`${JSON.stringify({ type: 'saved', filename, path })}\n`);
  else process.stdout.write(`${path}\n`);
}

function paramsOf(prompt: string, options: Options): Params[] {
  const [width, height] = options.size.split('x').map(Number);
  const first = options.seed ?? randomInt(MAX_RANDOM_SEED);
  return Array.from({ length: options.count }, (_, at) => {
    const { steps, guidance: guidance_scale } = options;
    const parsed = textToImageParamsSchema.safeParse({ prompt, width, height, steps, guidance_scale, seed: first + at, model_type: options['model-type'] });
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    const option = optionOf(String(issue?.path[0] ?? ''));
    throw new AppError('bad_option', `${option}: ${issue?.message}.\n\n${usage}`, { option });
  });
}

function optionOf(param: string): string {
  if (param === 'prompt') return 'PROMPT';
  if (param === 'width' || param === 'height') return '--size';
  return `--${param.replace('guidance_scale', 'guidance').replaceAll('_', '-')}`;
}

/** Of several images each gets its number: `fox-1.png`. */
function outputFor(output: string | undefined, at: number, count: number): string | null {
  if (output === undefined) return null;
  if (!/\.png$/i.test(output))
    throw new AppError('bad_option', `--output is ${output}; images are PNG files, so its name must end in .png.`, { option: '--output' });
  return count === 1 ? output : `${withoutExtension(output)}-${at + 1}${extname(output)}`;
}

function withoutExtension(path: string): string {
  return join(path, '..', basename(path, extname(path)));
}

const BAR_WIDTH = 24;

function progressText(message: JobMessage): string {
  if (message.type === 'job_status') return message.position === undefined ? message.status : `${message.status}, number ${message.position} in the queue`;
  if (message.type !== 'job_progress') return '';
  const { stage, stage_fraction, current_step, total_steps, remaining, speed } = message.progress;
  const share = stage_fraction ?? (total_steps === 0 ? 0 : current_step / total_steps);
  const bar = '#'.repeat(Math.round(BAR_WIDTH * share)).padEnd(BAR_WIDTH, '.');
  return `${stage.padEnd(10)} [${bar}] ${Math.round(100 * share)} %${stage === 'generating' ? `, ${remaining} left, ${speed}` : ''}`;
}

function phaseOf(message: JobMessage): string {
  return message.type === 'job_progress' ? message.progress.stage : message.type === 'job_status' ? message.status : '';
}
