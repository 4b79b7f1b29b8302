import type { ModelRegistry } from '#main/models/checkpoint.ts';
import { lorasSchema } from '#shared/protocol/http.ts';
import { type App, errorAnswers } from '../fastify-app.ts';

export function registerLoras(app: App, registry: Pick<ModelRegistry, 'loras'>): void {
  const schema = { tags: ['models'], summary: 'The LoRAs in the folder loras of the data folder', response: { 200: lorasSchema, ...errorAnswers } };
  app.get('/api/loras', { schema }, async () => ({
    loras: (await registry.loras()).map(({ name, fingerprint, sizeBytes }) => ({ name, identity: fingerprint, size_bytes: sizeBytes })),
  }));
}
