import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { loadCommandConfig } from '#main/config/command-config.ts';
import { pathOption, readCommandOptions } from '#main/config/command-options.ts';
import type { Provenance } from '#main/engine/engine.ts';
import { createImages } from '#main/images/images.ts';
import { createUploads } from '#main/images/uploads.ts';
import { imageFileName, upscaledFileName } from '#main/jobs/images/file-name.ts';
import { inputFiles } from '#main/jobs/processor/input-files.ts';
import { ModelPaths } from '#main/jobs/processor/model-paths.ts';
import { recipeFacts } from '#main/jobs/processor/recipe-facts.ts';
import { jobIdOf } from '#main/jobs/queue/job-id.ts';
import { createWorkResolver } from '#main/jobs/queue/resolve-work.ts';
import { entryFile, programDir, resourcesDir } from '#main/lib/program-files.ts';
import { programVersion } from '#main/lib/program-version.ts';
import { openModelRegistry } from '#main/models/registry.ts';
import { madeSizeOf } from '#shared/domain/job.ts';
import type { Recipe } from '#shared/domain/recipe.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { type CreateJob, clientMessageSchema } from '#shared/protocol/messages.ts';
import { openLocalEngine } from './local-engine.ts';
import { assertWritable } from './save-result.ts';

export const usage = `Usage: npm run generate -- --prompt TEXT [options]

  --width, --height NUMBER   256 to 2048, multiples of 16 (1024)
  --steps NUMBER             1 to 50 (9)
  --seed NUMBER              (42)
  --guidance NUMBER          0 to 20 (0)
  --negative TEXT            what the image should not show; needs --guidance
  --image FILE               start from this image
  --mask FILE                repaint only what is white in it; as large as the image
  --strength NUMBER          how much may change, above 0 to 1 (0.6, with a mask 1)
  --feather NUMBER           width of the transition at the mask's edge in pixels (0)
  --expand L,T,R,B           pixels to paint beyond the left, top, right and bottom edge
  --only-masked              make only what is around the mask, and keep the image's size
  --padding NUMBER           pixels around the mask that --only-masked includes (32)
  --lora NAME[:WEIGHT]       a file in the folder loras of the data folder; up to four times
  --control FILE             an image that guides the composition; needs --controlnet
  --controlnet NAME          a file in the folder controlnets of the data folder
  --control-scale NUMBER     how strongly it guides, 0 to 2 (0.75)
  --control-start, --control-end NUMBER
                             shares of the steps between which it guides (0, 1)
  --preprocess NAME          none or canny, which finds the edges of the image (none)
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
  negative: z.string().optional(),
  image: pathOption.optional(),
  mask: pathOption.optional(),
  strength: number,
  feather: number,
  expand: z
    .string()
    .regex(/^\d+(,\d+){3}$/, 'four numbers are needed, such as 0,0,256,0')
    .optional(),
  'only-masked': z.boolean().optional(),
  padding: number,
  lora: z.array(z.string()).optional(),
  control: pathOption.optional(),
  controlnet: z.string().optional(),
  'control-scale': number,
  'control-start': number,
  'control-end': number,
  preprocess: z.string().optional(),
  'model-type': z.string().optional(),
  checkpoint: pathOption.optional(),
  device: z.string().default('cpu'),
  accuracy: z.enum(['exact', 'fast']).default('fast'),
  'no-upscale': z.boolean().default(false),
  'no-marks': z.boolean().default(false),
  out: pathOption.optional(),
  'data-dir': pathOption.optional(),
});

type Options = z.infer<typeof optionsSchema>;

/** One image without a server. Progress goes to standard error, the paths of the images to standard output. */
export async function generate(argv: readonly string[]): Promise<void> {
  const options = readCommandOptions(optionsSchema, usage, argv);
  const message = messageOf(options);
  const { device, hub, outputsDir } = loadCommandConfig({ device: options.device }, ['outputs-dir']);
  const dataDir = options['data-dir'] ?? join(programDir, 'data');
  const log = { info: () => {}, warn: (_: object, message: string) => console.error(message) };
  const checkpointDirs = options.checkpoint === undefined ? [] : [options.checkpoint];
  const { registry } = await openModelRegistry({ resourcesDir, dataDir, checkpointDirs, cacheDir: hub.cacheDir, log });
  const images = createImages(entryFile('images/image-worker.ts'));
  const inputs = createUploads(join(dataDir, 'uploads'), images);
  const resolve = createWorkResolver({ registry, inputs, imageFile: async (path) => path });
  const { checkpoint, upscaler, ...work } = await resolve(message).finally(() => images.close());
  if (work.taskType === 'upscale' || checkpoint === null) throw new Error('generate has a checkpoint');
  const { params } = work;
  const files = await inputFiles(work, inputs, new ModelPaths(registry));
  const job = {
    ...work,
    checkpoint: { name: checkpoint.name, identity: checkpoint.fingerprint },
    upscaler: upscaler === null ? null : { name: upscaler.name, identity: upscaler.fingerprint },
    createdAtMs: Date.now(),
  };
  const jobId = jobIdOf(job);
  const provenance = (role: Recipe['role']): Provenance => ({ recipe: recipeFacts({ ...job, jobId }, role, programVersion()), isMarked: !options['no-marks'] });
  const fileName = imageFileName(job.createdAtMs, params.prompt, jobId, () => false);
  const original = options.out ?? join(outputsDir, fileName);
  const draft = join(dataDir, 'unsaved', `${process.pid}-${fileName}`);
  for (const path of [original, draft]) await assertWritable(path);

  const { engine, produce } = await openLocalEngine({ device, accuracy: options.accuracy, dataDir, log });
  try {
    const { dir: checkpointDir, fingerprint: checkpointIdentity } = checkpoint;
    await produce(draft, original, (hooks, signal) =>
      engine.generate(
        {
          params: { ...params, ...madeSizeOf(params) },
          ...(files === null ? {} : { files }),
          checkpointDir,
          checkpointIdentity,
          outputPath: draft,
          provenance: provenance('original'),
        },
        hooks,
        signal,
      ),
    );
    if (upscaler === null) return;
    const { upscale: scale = 4 } = params;
    const { path: upscalerPath, fingerprint: upscalerIdentity } = upscaler;
    await produce(draft, upscaledFileName(original), (hooks, signal) =>
      engine.upscale(
        { inputPath: original, scale: scale || 4, upscalerPath, upscalerIdentity, outputPath: draft, provenance: provenance('upscaled') },
        hooks,
        signal,
      ),
    );
  } finally {
    await engine.close();
  }
}

/** Checked by the schema of the server's own messages. Throws `bad_option`. */
function messageOf(options: Options): Exclude<CreateJob, { task_type: 'upscale' }> {
  const { prompt, width, height, steps, seed, image, mask, control } = options;
  for (const [option, path] of Object.entries({ '--image': image, '--mask': mask, '--control': control })) {
    if (path !== undefined && !existsSync(path)) throw new AppError('bad_option', `${option}: ${path} does not exist.`, { option });
  }
  const params = {
    ...{ prompt, width, height, steps, seed, guidance_scale: options.guidance, model_type: options['model-type'], negative_prompt: options.negative },
    ...(options['no-upscale'] ? { upscale: false } : {}),
    ...(options.lora === undefined ? {} : { loras: options.lora.map(loraOf) }),
    ...controlOf(options),
    ...sourceOf(options),
  };
  const parsed = clientMessageSchema.safeParse({ type: 'create_job', task_type: taskOf(options), params });
  if (parsed.success && parsed.data.type === 'create_job' && parsed.data.task_type !== 'upscale') return parsed.data;
  const issue = parsed.error?.issues[0];
  const path = issue?.code === 'unrecognized_keys' ? issue.keys : (issue?.path.slice(1) ?? []);
  const param = path.filter((part) => typeof part === 'string').join('.');
  const option = optionNames[param] ?? `--${(param.split('.')[0] ?? '').replaceAll('_', '-')}`;
  const reason = issue?.code === 'unrecognized_keys' ? 'only parts of an image that are repainted have this; --mask or --expand is missing' : issue?.message;
  throw new AppError('bad_option', `${option}: ${reason}.\n\n${usage}`, { option });
}

/** Of params whose options have other names. */
const optionNames: Readonly<Record<string, string>> = {
  guidance_scale: '--guidance',
  negative_prompt: '--negative',
  loras: '--lora',
  'control.image': '--control',
  'control.model': '--controlnet',
  'control.scale': '--control-scale',
  'control.start': '--control-start',
  'control.end': '--control-end',
  'control.preprocess': '--preprocess',
};

function taskOf({ image, mask, expand }: Options): CreateJob['task_type'] {
  if (image === undefined) return 'text_to_image';
  return mask === undefined && expand === undefined ? 'image_to_image' : 'inpaint';
}

/** What the image starts from. Options of another task are left for the schema to refuse. */
function sourceOf({ image, mask, strength, feather, expand, padding, 'only-masked': only_masked }: Options) {
  const more = { mask, strength, feather, expand: expand && expandOf(expand), only_masked, padding };
  const params = Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined));
  if (image !== undefined || Object.keys(params).length === 0) return { ...params, ...(image && { image }) };
  const needing = '--mask, --strength, --feather, --expand, --only-masked and --padding need it';
  throw new AppError('bad_option', `--image is missing; ${needing}.\n\n${usage}`, { option: '--image' });
}

function controlOf({ control: image, controlnet: model, preprocess, ...options }: Options) {
  const control = { image, model, scale: options['control-scale'], start: options['control-start'], end: options['control-end'], preprocess };
  return Object.values(control).every((value) => value === undefined) ? {} : { control };
}

function expandOf(text: string): Record<string, number> {
  const [left = 0, top = 0, right = 0, bottom = 0] = text.split(',').map(Number);
  return { left, top, right, bottom };
}

/** `NAME` or `NAME:WEIGHT`. */
function loraOf(text: string): { name: string; weight: number } {
  const [, name = text, weight = '1'] = /^(.+):(-?\d+(?:\.\d+)?)$/.exec(text) ?? [];
  return { name, weight: Number(weight) };
}
