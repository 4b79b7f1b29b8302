import { z } from 'zod';
import type { Jobs } from '#main/jobs/jobs.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { jobPageSchema, jobQuerySchema, jobRecordSchema } from '#shared/domain/job-record.ts';
import { AppError, toWireError } from '#shared/protocol/errors.ts';
import { binSchema, jobPatchSchema, labelsSchema, sizesSchema } from '#shared/protocol/http.ts';
import { type App, errorAnswers } from '../fastify-app.ts';

const tags = ['jobs'];
const params = z.object({ id: z.string().regex(/^[0-9a-f]{64}$/) });
const one = { 200: jobRecordSchema, ...errorAnswers };

export function registerJobs(app: App, jobs: Jobs): void {
  app.get(
    '/api/jobs',
    { schema: { tags, summary: 'History, newest first', querystring: jobQuerySchema, response: { 200: jobPageSchema, ...errorAnswers } } },
    (request) => jobs.list(request.query),
  );

  const sizesOf = { tags, summary: 'The sizes of the images, for a filter', response: { 200: sizesSchema, ...errorAnswers } };
  app.get('/api/jobs/sizes', { schema: sizesOf }, () => jobs.sizes());

  const labelsOf = { tags, summary: 'Albums and tags', response: { 200: labelsSchema, ...errorAnswers } };
  app.get('/api/jobs/labels', { schema: labelsOf }, () => jobs.labels());

  app.get('/api/jobs/:id', { schema: { tags, summary: 'One job', params, response: one } }, (request) => {
    const record = jobs.get(request.params.id);
    if (record === null) throw new AppError('unknown_job', `There is no job ${quoteValue(request.params.id)}.`, {});
    return record;
  });

  app.patch('/api/jobs/:id', { schema: { tags, summary: 'Star or unstar', params, body: jobPatchSchema, response: one } }, (request) =>
    jobs.patch(request.params.id, request.body),
  );

  app.delete(
    '/api/jobs/:id',
    { config: { insistsOnKey: true }, schema: { tags, summary: 'Move an ended job and its images to the bin', params, response: one } },
    (request) => jobs.remove(request.params.id),
  );

  app.post('/api/jobs/:id/restore', { schema: { tags, summary: 'Bring a job back from the bin', params, response: one } }, (request) =>
    jobs.restore(request.params.id),
  );

  const removed = { 200: binSchema, ...errorAnswers };
  app.delete(
    '/api/bin/:id',
    { config: { insistsOnKey: true }, schema: { tags, summary: 'Permanently delete one job in the bin', params, response: removed } },
    async (request) => {
      await jobs.removePermanently(request.params.id);
      return { removed: 1 };
    },
  );

  app.delete(
    '/api/bin',
    { config: { insistsOnKey: true }, schema: { tags, summary: 'Permanently delete the content of the bin', response: { 200: binSchema, ...errorAnswers } } },
    async () => {
      const { removed, failed } = await jobs.emptyBin();
      if (failed.length === 0) return { removed };
      return { removed, failed: failed.map(({ jobId, reason }) => ({ job_id: jobId, ...errorOf(reason) })) };
    },
  );
}

function errorOf(reason: unknown): { code: string; message: string } {
  const { code, message } = toWireError(reason);
  return { code, message };
}
