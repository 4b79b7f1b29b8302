import { z } from 'zod';
import { orAppError } from '#main/lib/or-app-error.ts';
import type { Checkpoint, ModelRegistry } from '#main/models/checkpoint.ts';
import type { ModelLibrary } from '#main/models/library.ts';
import { modelTypeSchema } from '#shared/domain/job.ts';
import { modelActionSchema, modelEntrySchema, modelLimitsSchema, newModelSchema } from '#shared/domain/model.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { type Model, modelsSchema } from '#shared/protocol/http.ts';
import { type App, errorAnswers } from '../fastify-app.ts';

const tags = ['models'];
const config = { insistsOnKey: true };
const one = { 200: modelEntrySchema, ...errorAnswers };

export function registerModels(app: App, library: ModelLibrary): void {
  app.get('/api/models', { schema: { tags, summary: 'What is installed and what can be', response: { 200: modelsSchema, ...errorAnswers } } }, async () => ({
    models: await library.entries(),
    limits: library.limits(),
    cache_dir: library.cacheDir,
  }));

  app.post(
    '/api/models',
    { config, schema: { tags, summary: 'Add a folder of this machine, or a repository to download', body: newModelSchema, response: one } },
    (request) => library.add(request.body),
  );

  app.put(
    '/api/models/limits',
    { config, schema: { tags, summary: 'How fast downloads may go', body: modelLimitsSchema, response: { 200: modelLimitsSchema, ...errorAnswers } } },
    (request) => library.setLimits(request.body),
  );

  const params = z.object({ name: z.string().min(1).max(256), action: modelActionSchema });
  app.post(
    '/api/models/:name/:action',
    { config, schema: { tags, summary: 'Install, pause, resume, remove, verify or use a model; the slash in its name as %2F', params, response: one } },
    (request) => library.act(request.params.name, request.params.action),
  );
}

/** The checkpoints that can run, with the active ones marked. */
export async function listCheckpoints(registry: ModelRegistry): Promise<Model[]> {
  const [checkpoints, active] = await Promise.all([registry.list(), activeDirs(registry)]);
  return checkpoints.map((checkpoint) => describe(checkpoint, active.has(checkpoint.dir)));
}

async function activeDirs(registry: ModelRegistry): Promise<Set<string>> {
  // `GET /api/models` and the jobs that need a checkpoint report why it cannot run
  const found = await Promise.all(modelTypeSchema.options.map((type) => orAppError(registry.checkpointFor(type))));
  return new Set(found.flatMap((checkpoint) => (checkpoint instanceof AppError ? [] : [checkpoint.dir])));
}

function describe({ name, modelType, bundled, fingerprint, sizeBytes, license, sizeUnitPx }: Checkpoint, active: boolean): Model {
  return { name, model_type: modelType, bundled, identity: fingerprint, size_bytes: sizeBytes, license, size_unit_px: sizeUnitPx, active };
}
