import type { Jobs } from '#main/jobs/jobs.ts';
import { queueActionSchema, queueSummarySchema } from '#shared/domain/job-record.ts';
import { type App, errorAnswers } from '../fastify-app.ts';

const tags = ['queue'];
const response = { 200: queueSummarySchema, ...errorAnswers };

export function registerQueue(app: App, jobs: Jobs): void {
  app.get('/api/queue', { schema: { tags, summary: 'The queue in numbers', response } }, () => jobs.summary());

  app.post(
    '/api/queue',
    { config: { insistsOnKey: true }, schema: { tags, summary: 'Pause, resume, clear or reorder', body: queueActionSchema, response } },
    (request) => jobs.queue(request.body),
  );
}
