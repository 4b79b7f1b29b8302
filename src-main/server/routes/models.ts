import type { Checkpoint, ModelRegistry } from '#main/models/checkpoint.ts';
import { modelTypeSchema } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { type Model, modelsSchema } from '#shared/protocol/http.ts';
import { type App, errorAnswers } from '../app.ts';

export function registerModels(app: App, registry: ModelRegistry): void {
  app.get('/api/models', { schema: { tags: ['models'], summary: 'Checkpoints that can run', response: { 200: modelsSchema, ...errorAnswers } } }, async () => ({
    models: await listModels(registry),
  }));
}

export async function listModels(registry: ModelRegistry): Promise<Model[]> {
  const [checkpoints, active] = await Promise.all([registry.list(), activeDirs(registry)]);
  return checkpoints.map((checkpoint) => describe(checkpoint, active.has(checkpoint.dir)));
}

async function activeDirs(registry: ModelRegistry): Promise<Set<string>> {
  const dirs = await Promise.all(modelTypeSchema.options.map((type) => registry.checkpointFor(type).then(({ dir }) => dir, noneInstalled)));
  return new Set(dirs.filter((dir) => dir !== null));
}

function noneInstalled(thrown: unknown): null {
  if (thrown instanceof AppError && thrown.code === 'model_not_installed') return null;
  throw thrown;
}

function describe({ name, modelType, bundled, identity, sizeBytes, license, sizeUnitPx }: Checkpoint, active: boolean): Model {
  return { name, model_type: modelType, bundled, identity, size_bytes: sizeBytes, license, size_unit_px: sizeUnitPx, active };
}
