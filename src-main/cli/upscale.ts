import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { z } from 'zod';
import { loadCommandConfig } from '#main/config/command-config.ts';
import { pathOption, readCommandOptions, readCommandWords } from '#main/config/command-options.ts';
import { commandArguments } from '#main/config/launch-arguments.ts';
import { importImage } from '#main/images/decode-image.ts';
import { recipeFacts } from '#main/jobs/processor/recipe-facts.ts';
import { jobIdOf } from '#main/jobs/queue/job-id.ts';
import { programDir, resourcesDir } from '#main/lib/program-files.ts';
import { programVersion } from '#main/lib/program-version.ts';
import type { Upscaler } from '#main/models/checkpoint.ts';
import { openModelRegistry } from '#main/models/registry.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { MAX_INPUT_PIXELS } from '#shared/protocol/messages.ts';
import { openLocalEngine } from './local-engine.ts';
import { assertWritable } from './save-result.ts';

export const usage = `Usage: npm run upscale -- FILES… --out DIR [options]

  FILES             PNG, JPEG, WebP, AVIF, TIFF or GIF, of at most 16 megapixels each
  -o, --out DIR     folder for the upscaled images, NAME-4x.png
  --scale NUMBER    2 or 4 (4)
  --upscaler NAME   an installed upscaler (the active one)
  --device NAME     cpu, cuda, cuda:1, webgpu …, or auto for the first usable NVIDIA card (cpu)
  --accuracy NAME   exact or fast (fast)
  --data-dir DIR    folder for compiled graphs (data)`;

const optionsSchema = z.object({
  out: pathOption,
  scale: z.enum(['2', '4']).default('4'),
  upscaler: z.string().optional(),
  device: z.string().default('cpu'),
  accuracy: z.enum(['exact', 'fast']).default('fast'),
  'data-dir': pathOption.optional(),
});

/** Upscales files without a server. A file that cannot be upscaled is reported, and the others are upscaled all the same; the exit status is 1 then. */
export async function upscale(argv: readonly string[] = commandArguments()): Promise<void> {
  const { words: files, options: rest } = readCommandWords(argv);
  const options = readCommandOptions(
    optionsSchema,
    usage,
    rest.map((argument) => (argument === '-o' ? '--out' : argument)),
  );
  if (files.length === 0) throw new AppError('bad_option', `FILES is missing; name the images first.\n\n${usage}`, { option: 'FILES' });
  const { device, hub } = loadCommandConfig({ device: options.device }, ['outputs-dir']);
  const dataDir = options['data-dir'] ?? join(programDir, 'data');
  const log = { info: () => {}, warn: (_: object, message: string) => console.error(message) };
  const { registry } = openModelRegistry({ resourcesDir, dataDir, checkpointDirs: [], cacheDir: hub.cacheDir, log });
  const upscaler = options.upscaler === undefined ? await registry.upscaler() : await upscalerNamed(options.upscaler, await registry.upscalers());
  const outputs = outputNames(files, options.scale).map((name) => join(options.out, name));
  const unsaved = join(dataDir, 'unsaved');
  await mkdir(unsaved, { recursive: true });
  for (const path of outputs) await assertWritable(path);

  const { engine, produce } = await openLocalEngine({ device, accuracy: options.accuracy, dataDir, log });
  const inputPath = join(unsaved, `${process.pid}-input.png`);
  try {
    for (const [index, file] of files.entries()) {
      console.error(`${index + 1}/${files.length} ${file}`);
      try {
        const task = await upscaleTask(file, Number(options.scale) === 2 ? 2 : 4, upscaler, inputPath);
        const draft = join(unsaved, `${process.pid}-output.png`);
        await produce(draft, outputs[index] ?? '', (hooks, signal) => engine.upscale({ ...task, outputPath: draft }, hooks, signal));
      } catch (thrown) {
        if (!(thrown instanceof AppError) || thrown.code === 'cancelled') throw thrown;
        console.error(`${file}: ${thrown.message}`);
        process.exitCode = 1;
      }
    }
  } finally {
    await rm(inputPath, { force: true });
    await engine.close();
  }
}

/** Decodes the file to `inputPath`. Throws as the decoder of uploads, and `bad_option` for a file that is missing or too large. */
async function upscaleTask(file: string, scale: 2 | 4, upscaler: Upscaler, inputPath: string) {
  const bytes = await readFile(pathOption.parse(file)).catch((cause: unknown) => {
    throw new AppError('bad_option', 'The file cannot be read. Check its name.', { option: 'FILES' }, { cause });
  });
  const { id, png, width, height } = await importImage(bytes);
  if (png === null) {
    throw new AppError('bad_option', `The image has ${width} x ${height} pixels; at most ${MAX_INPUT_PIXELS} can be upscaled.`, { option: 'FILES' });
  }
  await writeFile(inputPath, png);
  const job = {
    taskType: 'upscale' as const,
    params: { image: id, scale, upscaler: upscaler.name, width: width * scale, height: height * scale },
    checkpoint: null,
    upscaler: { name: upscaler.name, identity: upscaler.fingerprint },
    createdAtMs: Date.now(),
  };
  const recipe = recipeFacts({ ...job, jobId: jobIdOf(job) }, 'upscaled', programVersion());
  return { inputPath, scale, upscalerPath: upscaler.path, upscalerIdentity: upscaler.fingerprint, provenance: { recipe, isMarked: true } };
}

function upscalerNamed(name: string, present: readonly (Upscaler | { name: string; error: AppError })[]): Upscaler {
  const found = present.find((upscaler) => upscaler.name === name);
  if (found === undefined) {
    throw new AppError('bad_option', `--upscaler is ${JSON.stringify(name)}; it must be ${present.map((one) => one.name).join(' or ')}.`, {
      option: '--upscaler',
    });
  }
  if ('error' in found) throw found.error;
  return found;
}

/** One name for each file; files of one name in different folders get a number. */
export function outputNames(files: readonly string[], scale: string): string[] {
  // file systems may take two names that differ in case for one
  const taken = new Set<string>();
  return files.map((file) => {
    const name = basename(file, extname(file));
    for (let number = 1; ; number++) {
      const candidate = `${name}${number === 1 ? '' : `-${number}`}-${scale}x.png`;
      if (taken.has(candidate.toLowerCase())) continue;
      taken.add(candidate.toLowerCase());
      return candidate;
    }
  });
}
