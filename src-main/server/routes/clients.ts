import type { Jobs } from '#main/jobs/jobs.ts';
import { clientsSchema } from '#shared/protocol/http.ts';
import { type App, errorAnswers } from '../fastify-app.ts';

export function registerClients(app: App, jobs: Jobs): void {
  const schema = { tags: ['server'], summary: 'Clients that were ever connected', response: { 200: clientsSchema, ...errorAnswers } };
  app.get('/api/clients', { config: { insistsOnKey: true }, schema }, () => jobs.clients());
}
