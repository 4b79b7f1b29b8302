import { healthSchema } from '#shared/protocol/http.ts';
import type { App } from '../fastify-app.ts';

export function registerHealth(app: App): void {
  app.get('/api/health', { schema: { tags: ['server'], summary: 'Whether the server serves', response: { 200: healthSchema } } }, () => ({
    status: 'ok' as const,
  }));
}
