import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine, EngineHooks } from '#main/engine/engine.ts';
import type { Checkpoint, ModelRegistry, Upscaler } from '#main/models/checkpoint.ts';
import { readRecipe } from '#main/provenance/read-recipe.ts';
import type { RepeatedImage } from '#main/provenance/verify-image.ts';
import type { Recipe, RecipeFacts } from '#shared/domain/recipe.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { promptInputs } from './processor/input-files.ts';
import { findCheckpoint, findUpscaler, ModelPaths } from './processor/model-paths.ts';

type TextRecipe = Extract<Recipe, { task_type: 'text_to_image' }>;

/** A recipe has only the hash of the image that it started from. */
const FROM_IMAGE = 'The recipe does not contain the image that this one was made from, so it cannot be repeated.';

interface RepeatParts {
  engine: Pick<Engine, 'generate' | 'upscale'>;
  registry: ModelRegistry;
  signal: AbortSignal;
  onProgress?: EngineHooks['onProgress'];
}

/**
 * Makes the image of a recipe once more, in a temporary folder: an upscaled one from a new original. Nothing is stored as a job.
 * Rejects with `model_not_installed` and as the engine does.
 */
export async function repeatImage(recipe: Recipe, { engine, registry, signal, onProgress = () => {} }: RepeatParts): Promise<RepeatedImage> {
  if (recipe.task_type !== 'text_to_image') throw new AppError('bad_param', FROM_IMAGE, { field: 'repeat' });
  const { checkpoint, upscaler } = await modelsOf(recipe, registry);
  if (checkpoint === null || (recipe.role === 'upscaled' && upscaler === null)) throw gone(recipe);
  const folder = await mkdtemp(join(tmpdir(), 'zimage-repeat-'));
  const discard = () => rm(folder, { recursive: true, force: true });
  const [original, upscaled] = [join(folder, 'original.png'), join(folder, 'upscaled.png')];
  const hooks = { onProgress, onModelDone: () => {} };
  const { version: _, made_on: _made, pixels: _pixels, original_sha256: _original, ...facts } = recipe;
  const provenance = (role: Recipe['role']): { recipe: RecipeFacts; isMarked: boolean } => ({ recipe: { ...facts, role }, isMarked: false });
  try {
    const { dir: checkpointDir, fingerprint: checkpointIdentity } = checkpoint;
    const files = await promptInputs(recipe.params, new ModelPaths(registry));
    const task = { params: recipe.params, checkpointDir, checkpointIdentity, outputPath: original, provenance: provenance('original') };
    await engine.generate({ ...task, ...(Object.keys(files).length === 0 ? {} : { files }) }, hooks, signal);
    if (upscaler !== null) {
      const { upscale = 4 } = recipe.params;
      const { path: upscalerPath, fingerprint: upscalerIdentity } = upscaler;
      await engine.upscale(
        { inputPath: original, scale: upscale || 4, upscalerPath, upscalerIdentity, outputPath: upscaled, provenance: provenance('upscaled') },
        hooks,
        signal,
      );
    }
    const path = upscaler === null ? original : upscaled;
    const made = await readRecipe(path);
    if (made === null) throw new Error(`The repeated image ${path} has no recipe.`);
    return { path, recipe: made, discard };
  } catch (thrown) {
    await discard();
    throw thrown;
  }
}

/** Which models of a recipe are not here, a sentence each. */
export async function missingModels(recipe: Recipe, registry: ModelRegistry): Promise<string[]> {
  if (recipe.task_type !== 'text_to_image') return [FROM_IMAGE];
  const { checkpoint, upscaler } = await modelsOf(recipe, registry);
  const loras = new Set((await registry.loras()).map(({ fingerprint }) => fingerprint));
  const sentence = (kind: string, { name, identity }: TextRecipe['checkpoint']) => `The ${kind} ${name} (${identity.slice(0, 12)}) is not installed here.`;
  return [
    ...(checkpoint === null ? [sentence('checkpoint', recipe.checkpoint)] : []),
    ...(recipe.params.loras ?? []).filter(({ identity }) => !loras.has(identity)).map((lora) => sentence('LoRA', lora)),
    ...(recipe.role === 'upscaled' && recipe.upscaler !== undefined && upscaler === null ? [sentence('upscaler', recipe.upscaler)] : []),
  ];
}

/** `upscaler` is null also where the recipe needs none. */
async function modelsOf(recipe: TextRecipe, registry: ModelRegistry): Promise<{ checkpoint: Checkpoint | null; upscaler: Upscaler | null }> {
  return {
    checkpoint: await findCheckpoint(registry, recipe.checkpoint.identity),
    upscaler: recipe.role === 'upscaled' && recipe.upscaler !== undefined ? await findUpscaler(registry, recipe.upscaler.identity) : null,
  };
}

function gone(recipe: TextRecipe): AppError<'model_not_installed'> {
  const message = 'A model that this image was made with is not installed. Install it again to repeat the image.';
  return new AppError('model_not_installed', message, { modelType: recipe.params.model_type });
}
