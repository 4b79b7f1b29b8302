import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine, EngineHooks } from '#main/engine/engine.ts';
import type { ModelRegistry } from '#main/models/checkpoint.ts';
import { readRecipe } from '#main/provenance/read-recipe.ts';
import type { RepeatedImage } from '#main/provenance/verify-image.ts';
import { type JobWork, madeSizeOf } from '#shared/domain/job.ts';
import type { Recipe } from '#shared/domain/recipe.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { findInput, type InputImages } from './input-images.ts';
import { inputFiles } from './processor/input-files.ts';
import { findCheckpoint, findUpscaler, ModelPaths } from './processor/model-paths.ts';

interface RepeatParts {
  engine: Pick<Engine, 'generate' | 'upscale'>;
  registry: ModelRegistry;
  /** Where the images are that an image was made from. */
  inputs: Pick<InputImages, 'find'>;
  signal: AbortSignal;
  onProgress?: EngineHooks['onProgress'];
}

/**
 * Makes the image of a recipe once more, in a temporary folder: an upscaled one from a new original. Nothing is stored as a job.
 * Rejects with `model_not_installed` and `unknown_image` for what is missing, and as the engine does.
 */
export async function repeatImage(recipe: Recipe, { engine, registry, inputs, signal, onProgress = () => {} }: RepeatParts): Promise<RepeatedImage> {
  const folder = await mkdtemp(join(tmpdir(), 'zimage-repeat-'));
  const discard = () => rm(folder, { recursive: true, force: true });
  const [original, upscaled] = [join(folder, 'original.png'), join(folder, 'upscaled.png')];
  const hooks = { onProgress, onModelDone: () => {} };
  const { version: _, made_on: _made, pixels: _pixels, original_sha256: _original, ...facts } = recipe;
  const provenance = { recipe: facts, isMarked: false };
  const upscale = async (inputPath: string, scale: 2 | 4, wanted: NonNullable<Recipe['upscaler']>) => {
    const upscaler = (await findUpscaler(registry, wanted.identity)) ?? missing('upscaler', wanted);
    const models = { upscalerPath: upscaler.path, upscalerIdentity: upscaler.fingerprint };
    await engine.upscale({ inputPath, scale, ...models, outputPath: upscaled, provenance }, hooks, signal);
    return upscaled;
  };

  async function make(): Promise<string> {
    const work = workOf(recipe);
    if (recipe.task_type === 'upscale') return upscale((await findInput(inputs, recipe.params.image, 'image')).path, recipe.params.scale, recipe.upscaler);
    const checkpoint = (await findCheckpoint(registry, recipe.checkpoint.identity)) ?? missing('checkpoint', recipe.checkpoint);
    const files = await inputFiles(work, inputs, new ModelPaths(registry));
    const models = { checkpointDir: checkpoint.dir, checkpointIdentity: checkpoint.fingerprint };
    const task = { params: { ...recipe.params, ...madeSizeOf(recipe.params) }, ...models, outputPath: original, provenance };
    await engine.generate(files === null ? task : { ...task, files }, hooks, signal);
    if (recipe.role === 'original' || recipe.upscaler === undefined) return original;
    return upscale(original, recipe.params.upscale || 4, recipe.upscaler);
  }

  try {
    const path = await make();
    const made = await readRecipe(path);
    if (made === null) throw new Error(`The repeated image ${path} has no recipe.`);
    return { path, recipe: made, discard };
  } catch (thrown) {
    await discard();
    throw thrown;
  }
}

/** What is missing here to repeat an image, a sentence each. */
export async function repeatObstacles(recipe: Recipe, { registry, inputs }: Pick<RepeatParts, 'registry' | 'inputs'>): Promise<string[]> {
  const obstacles: string[] = [];
  const { upscaler, params } = recipe;
  if (recipe.task_type !== 'upscale' && (await findCheckpoint(registry, recipe.checkpoint.identity)) === null) {
    obstacles.push(missingSentence('checkpoint', recipe.checkpoint));
  }
  const loras = 'loras' in params ? (params.loras ?? []) : [];
  const installed = loras.length === 0 ? [] : await registry.loras();
  for (const lora of loras) if (!installed.some(({ fingerprint }) => fingerprint === lora.identity)) obstacles.push(missingSentence('LoRA', lora));
  const control = 'control' in params ? params.control : undefined;
  if (control !== undefined && !(await registry.controlNets()).some(({ fingerprint }) => fingerprint === control.identity)) {
    obstacles.push(missingSentence('ControlNet', { name: control.model, identity: control.identity }));
  }
  if (recipe.role === 'upscaled' && upscaler !== undefined && (await findUpscaler(registry, upscaler.identity)) === null) {
    obstacles.push(missingSentence('upscaler', upscaler));
  }
  for (const [name, id] of Object.entries(inputIds(recipe))) {
    if ((await inputs.find(id)) !== null) continue;
    obstacles.push(`The ${name} that it was made from is not here: the file with SHA-256 ${id}. Upload it, or name it with zimage verify --image FILE.`);
  }
  return obstacles;
}

/** The hashes of the files that an image was made from. */
function inputIds({ params }: Recipe): { image?: string; mask?: string; 'control image'?: string } {
  return {
    ...('image' in params ? { image: params.image } : {}),
    ...('mask' in params && params.mask !== undefined ? { mask: params.mask } : {}),
    ...('control' in params && params.control !== undefined ? { 'control image': params.control.image } : {}),
  };
}

/** The task decides the type of its params. */
function workOf(recipe: Recipe): JobWork {
  if (recipe.task_type === 'upscale') return { taskType: recipe.task_type, params: recipe.params };
  if (recipe.task_type === 'inpaint') return { taskType: recipe.task_type, params: recipe.params };
  if (recipe.task_type === 'image_to_image') return { taskType: recipe.task_type, params: recipe.params };
  return { taskType: recipe.task_type, params: recipe.params };
}

function missingSentence(kind: string, { name, identity }: { name: string; identity: string }): string {
  return `The ${kind} ${name} (${identity.slice(0, 12)}) is not installed here.`;
}

function missing(kind: string, model: { name: string; identity: string }): never {
  throw new AppError('model_not_installed', `${missingSentence(kind, model)} Install it again to repeat the image.`, { modelType: kind });
}
