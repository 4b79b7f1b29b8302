import type { Jobs } from '#main/jobs/jobs.ts';
import { settingsAnswerSchema, settingsChangeSchema } from '#shared/protocol/settings.ts';
import { type App, errorAnswers } from '../fastify-app.ts';

const tags = ['server'];
const response = { 200: settingsAnswerSchema, ...errorAnswers };
const config = { insistsOnKey: true };

export function registerSettings(app: App, jobs: Jobs): void {
  app.get('/api/settings', { config, schema: { tags, summary: 'The settings, which of them are fixed, and from when on a change holds', response } }, () =>
    jobs.settings(),
  );

  const summary = 'Change the settings that the body names; all or nothing';
  app.put('/api/settings', { config, schema: { tags, summary, body: settingsChangeSchema, response } }, (request) => jobs.changeSettings(request.body));
}
