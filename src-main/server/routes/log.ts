import { z } from 'zod';
import { logQuerySchema, logSchema } from '#shared/protocol/http.ts';
import { type App, errorAnswers } from '../fastify-app.ts';
import type { RecentLog } from '../recent-log.ts';

const schema = {
  tags: ['server'],
  summary: 'The last lines of the log',
  querystring: logQuerySchema,
  response: {
    200: { description: 'The lines', content: { 'application/json': { schema: logSchema }, 'text/plain': { schema: z.string() } } },
    ...errorAnswers,
  },
};

export function registerLog(app: App, recent: RecentLog): void {
  app.get('/api/log', { config: { insistsOnKey: true }, schema }, async (request, reply) => {
    const { format, ...choice } = request.query;
    const page = recent.page(choice);
    reply.header('cache-control', 'no-store');
    if (format === 'json') return reply.send(page);
    const text = page.lines.map(({ time, level, text: message, fields }) => `${time} ${level.padEnd(5)} ${message} ${JSON.stringify(fields)}\n`).join('');
    const name = `zimage-log-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.txt`;
    return reply.type('text/plain; charset=utf-8').header('content-disposition', `attachment; filename="${name}"`).send(text);
  });
}
