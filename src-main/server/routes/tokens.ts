import type { Checkpoint, ModelRegistry } from '#main/models/checkpoint.ts';
import { type Tokens, tokensRequestSchema, tokensSchema } from '#shared/protocol/http.ts';
import { type App, errorAnswers } from '../fastify-app.ts';

/** Measures a prompt as the checkpoint's text encoder will read it. Rejects with `checkpoint_missing`, `checkpoint_damaged`. */
export type MeasurePrompt = (checkpoint: Checkpoint, prompt: string) => Promise<{ count: number; limit: number; cutAt: number | null }>;

export function registerTokens(app: App, registry: ModelRegistry, measurePrompt: MeasurePrompt): void {
  const schema = {
    tags: ['models'],
    summary: 'How many tokens a prompt has, and where it is cut',
    body: tokensRequestSchema,
    response: { 200: tokensSchema, ...errorAnswers },
  };
  app.post('/api/tokens', { schema }, async (request): Promise<Tokens> => {
    const { prompt, model_type: modelType } = request.body;
    const { count, limit, cutAt } = await measurePrompt(await registry.checkpointFor(modelType), prompt);
    return { count, limit, cut_at: cutAt };
  });
}
