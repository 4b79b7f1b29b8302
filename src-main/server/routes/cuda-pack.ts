import { z } from 'zod';
import type { CudaPack } from '#main/cuda-pack/cuda-pack.ts';
import { cudaPackActionSchema, cudaPackOrderSchema, cudaPackSchema } from '#shared/domain/cuda-pack.ts';
import { type App, errorAnswers } from '../fastify-app.ts';

export function registerCudaPack(app: App, cudaPack: CudaPack): void {
  const tags = ['server'];
  const response = { 200: cudaPackSchema, ...errorAnswers };
  app.get('/api/cuda-pack', { schema: { tags, summary: 'The libraries for an NVIDIA card: what is installed, and under which licences', response } }, () =>
    cudaPack.entry(),
  );

  const params = z.object({ action: cudaPackActionSchema });
  const summary = 'Install, pause, verify or remove the libraries for an NVIDIA card';
  app.post('/api/cuda-pack/:action', { config: { insistsOnKey: true }, schema: { tags, summary, params, body: cudaPackOrderSchema, response } }, (request) =>
    cudaPack.act(request.params.action, request.body),
  );
}
