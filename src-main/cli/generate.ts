import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { loadCommandConfig } from '#main/config/command-config.ts';
import { pathOption, readCommandOptions } from '#main/config/command-options.ts';
import { createEngine } from '#main/engine/create-engine.ts';
import type { EngineHooks, Provenance, TaskReport } from '#main/engine/engine.ts';
import { createNodeSpawn } from '#main/engine/spawn-node.ts';
import { imageFileName, upscaledFileName } from '#main/jobs/images/file-name.ts';
import { jobIdOf } from '#main/jobs/queue/job-id.ts';
import { entryFile, programDir, resourcesDir } from '#main/lib/program-files.ts';
import { programVersion } from '#main/lib/program-version.ts';
import { reportTo } from '#main/lib/report-to.ts';
import { openModelRegistry } from '#main/models/registry.ts';
import { chooseEngines } from '#main/studio/choose-engines.ts';
import { deviceProbes } from '#main/studio/device-probes.ts';
import { engineEnvironment } from '#main/studio/engine-environment.ts';
import type { TextToImageParams } from '#shared/domain/job.ts';
import { PROGRAM_NAME, type Recipe } from '#shared/domain/recipe.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { textToImageParamsSchema } from '#shared/protocol/messages.ts';
import { assertWritable, saveResult } from './save-result.ts';

export const usage = `Usage: npm run generate -- --prompt TEXT [options]

  --width, --height NUMBER   256 to 2048, multiples of 16 (1024)
  --steps NUMBER             1 to 50 (9)
  --seed NUMBER              (42)
  --guidance NUMBER          0 to 20 (0)
  --model-type NAME          uint4 or int8 (uint4)
  --checkpoint DIR           a checkpoint in Hugging Face layout instead of the bundled one
  --device NAME              cpu, cuda, cuda:1, webgpu …, or auto for the first usable
                             NVIDIA card (cpu)
  --accuracy NAME            exact or fast (fast)
  --no-upscale               only the original image
  --no-marks                 without the marks that say that AI made the image
  --out FILE                 file for the original; the 4x version is saved beside it
                             (a new file in outputs/)
  --data-dir DIR             folder for compiled graphs (data)`;

const number = z
  .string()
  .regex(/^-?\d+(\.\d+)?$/, 'a number is needed')
  .transform(Number)
  .optional();
export const optionsSchema = z.object({
  prompt: z.string(),
  width: number,
  height: number,
  steps: number,
  seed: number,
  guidance: number,
  'model-type': z.string().optional(),
  checkpoint: pathOption.optional(),
  device: z.string().default('cpu'),
  accuracy: z.enum(['exact', 'fast']).default('fast'),
  'no-upscale': z.boolean().default(false),
  'no-marks': z.boolean().default(false),
  out: pathOption.optional(),
  'data-dir': pathOption.optional(),
});

/** One image without a server. Progress goes to standard error, the paths of the images to standard output. */
export async function generate(argv: readonly string[]): Promise<void> {
  const options = readCommandOptions(optionsSchema, usage, argv);
  const params = paramsOf(options);
  const { device, hub, outputsDir } = loadCommandConfig({ device: options.device }, ['outputs-dir']);
  const dataDir = options['data-dir'] ?? join(programDir, 'data');
  const log = { info: () => {}, warn: (_: object, message: string) => console.error(message) };
  const checkpointDirs = options.checkpoint === undefined ? [] : [options.checkpoint];
  const { registry } = await openModelRegistry({ resourcesDir, dataDir, checkpointDirs, cacheDir: hub.cacheDir, log });
  const checkpoint = await registry.checkpointFor(params.model_type);
  const upscaler = await registry.upscaler();
  const jobId = jobIdOf({ taskType: 'text_to_image', params, checkpointIdentity: checkpoint.fingerprint, upscalerIdentity: upscaler.fingerprint });
  const createdAt = Date.now();
  const provenance = (role: Recipe['role']): Provenance => ({
    recipe: {
      ...{ role, job_id: jobId, task_type: 'text_to_image', params, created_at: createdAt / 1000 },
      checkpoint: { name: checkpoint.name, identity: checkpoint.fingerprint },
      upscaler: { name: upscaler.name, identity: upscaler.fingerprint },
      program: { name: PROGRAM_NAME, version: programVersion() },
    },
    isMarked: !options['no-marks'],
  });
  const fileName = imageFileName(createdAt, params.prompt, jobId, () => false);
  const original = options.out ?? join(outputsDir, fileName);
  const draft = join(dataDir, 'unsaved', `${process.pid}-${fileName}`);
  for (const path of [original, draft]) await assertWritable(path);

  const spawn = createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: engineEnvironment(dataDir) });
  const probes = deviceProbes({ spawn, dataDir, binding: 'auto', active: () => [], log });
  const [config] = await chooseEngines({ device, accuracy: options.accuracy, memory: 'auto', binding: 'auto', priority: null, dataDir }, probes);
  const engine = createEngine({ spawn, devices: [config], log });
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort());
  const produce = async (path: string, run: (hooks: EngineHooks, signal: AbortSignal) => Promise<TaskReport>): Promise<void> => {
    const { setbacks } = await run(progressBar(), abort.signal).catch(async (error: unknown) => {
      await rm(draft, { force: true });
      throw error;
    });
    reportTo(process.stderr).write('\n');
    for (const setback of setbacks) console.error(setback);
    await saveResult(draft, path);
    console.log(path);
  };
  try {
    const { dir: checkpointDir, fingerprint: checkpointIdentity } = checkpoint;
    await produce(original, (hooks, signal) =>
      engine.generate({ params, checkpointDir, checkpointIdentity, outputPath: draft, provenance: provenance('original') }, hooks, signal),
    );
    if (options['no-upscale']) return;
    const { path: upscalerPath, fingerprint: upscalerIdentity } = upscaler;
    await produce(upscaledFileName(original), (hooks, signal) =>
      engine.upscale({ inputPath: original, upscalerPath, upscalerIdentity, outputPath: draft, provenance: provenance('upscaled') }, hooks, signal),
    );
  } finally {
    await engine.close();
  }
}

function paramsOf(options: z.infer<typeof optionsSchema>): TextToImageParams {
  const { prompt, width, height, steps, seed, guidance: guidance_scale } = options;
  const parsed = textToImageParamsSchema.safeParse({ prompt, width, height, steps, seed, guidance_scale, model_type: options['model-type'] });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const option = `--${String(issue?.path[0] ?? '')
    .replace('guidance_scale', 'guidance')
    .replaceAll('_', '-')}`;
  throw new AppError('bad_option', `${option}: ${issue?.message}.\n\n${usage}`, { option });
}

const BAR_WIDTH = 30;

function progressBar(): EngineHooks {
  const report = reportTo(process.stderr);
  return {
    onProgress: ({ stage, done, total }) => {
      const filled = total > 0 ? Math.round((BAR_WIDTH * done) / total) : 0;
      const bar = '#'.repeat(filled).padEnd(BAR_WIDTH, '.');
      const line = `${stage.padEnd(10)} [${bar}] ${done}/${total}`;
      report.write(report.isTTY ? `\r${line}  ` : `${line}\n`);
    },
    onModelDone: () => {},
  };
}
