import type { ExtraModel, ModelRegistry } from '#main/models/checkpoint.ts';
import { controlNetsSchema, lorasSchema } from '#shared/protocol/http.ts';
import { type App, errorAnswers } from '../fastify-app.ts';

/** The LoRAs and the ControlNets. */
export function registerExtraModels(app: App, registry: Pick<ModelRegistry, 'loras' | 'controlNets'>): void {
  const schemaOf = <S>(summary: string, answer: S) => ({ tags: ['models'], summary, response: { 200: answer, ...errorAnswers } });
  app.get('/api/loras', { schema: schemaOf('The LoRAs that jobs can use', lorasSchema) }, async () => ({ loras: (await registry.loras()).map(toWire) }));
  app.get('/api/controlnets', { schema: schemaOf('The ControlNets that jobs can use', controlNetsSchema) }, async () => ({
    controlnets: (await registry.controlNets()).map(toWire),
  }));
}

function toWire({ name, fingerprint, sizeBytes, metadata }: ExtraModel) {
  return { name, identity: fingerprint, size_bytes: sizeBytes, ...metadata };
}
