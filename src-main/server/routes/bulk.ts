import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { Jobs } from '#main/jobs/jobs.ts';
import { writeZip, type ZipFile } from '#main/lib/write-zip.ts';
import { type Bulk, type BulkAnswer, bulkAnswerSchema, bulkSchema, type Label, type Zip, zipSchema } from '#shared/domain/job-record.ts';
import { AppError, toWireError } from '#shared/protocol/errors.ts';
import { type App, errorAnswers } from '../fastify-app.ts';

const PAGE_SIZE = 500;
/** 10,000 ids have 670,000 bytes. */
const MAX_BODY_BYTES = 1024 * 1024;
/** How many jobs are changed at once: enough for shared commits, few enough for other requests to come in between. */
const AT_ONCE = 32;

const tags = ['jobs'];

/** Calls for many jobs at once. */
export function registerBulk(app: App, jobs: Jobs): void {
  const setLabel = (jobId: string, label: Label | undefined, isSet: boolean) => (label === undefined ? undefined : jobs.setLabel(jobId, label, isSet));
  const change: Record<Bulk['action'], (jobId: string, label: Bulk['label']) => Promise<unknown>> = {
    delete: (jobId) => jobs.remove(jobId),
    restore: (jobId) => jobs.restore(jobId),
    delete_permanently: (jobId) => jobs.removePermanently(jobId),
    star: (jobId) => jobs.patch(jobId, { starred: true }),
    unstar: (jobId) => jobs.patch(jobId, { starred: false }),
    add_label: async (jobId, label) => setLabel(jobId, label, true),
    remove_label: async (jobId, label) => setLabel(jobId, label, false),
  };

  const bulk = { tags, summary: 'Delete, restore, star or label many jobs', body: bulkSchema, response: { 200: bulkAnswerSchema, ...errorAnswers } };
  app.post('/api/jobs/bulk', { bodyLimit: MAX_BODY_BYTES, config: { insistsOnKey: true }, schema: bulk }, async (request): Promise<BulkAnswer> => {
    const ids = await chosenIds(jobs, request.body);
    const answer: BulkAnswer = { done: [], failed: [] };
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      const part = ids.slice(at, at + AT_ONCE);
      const results = await Promise.allSettled(part.map((jobId) => change[request.body.action](jobId, request.body.label)));
      for (const [index, result] of results.entries()) {
        const jobId = part[index] ?? '';
        if (result.status === 'fulfilled') answer.done.push(jobId);
        else answer.failed.push({ job_id: jobId, ...errorOf(result.reason) });
      }
    }
    return answer;
  });

  const zip = {
    tags: ['pictures'],
    summary: 'A zip of the images of many jobs',
    body: zipSchema,
    response: { 200: { description: 'The zip', content: { 'application/zip': { schema: z.string() } } }, ...errorAnswers },
  };
  app.post('/api/jobs/zip', { bodyLimit: MAX_BODY_BYTES, schema: zip }, async (request, reply) => {
    const files = await filesOf(jobs, await chosenIds(jobs, request.body), request.body.files);
    if (files.length === 0) throw new AppError('unknown_image', 'None of the chosen jobs has an image outside the bin.', {});
    return sendZip(reply, files);
  });
}

function sendZip(reply: FastifyReply, files: readonly ZipFile[]): FastifyReply {
  const name = `zimage-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.zip`;
  reply.type('application/zip').headers({ 'content-disposition': `attachment; filename="${name}"`, 'cache-control': 'no-store' });
  return reply.send(Readable.from(writeZip(files)));
}

/** Without duplicates; for a query all that match it now, newest first. */
async function chosenIds(jobs: Jobs, { ids, query }: Pick<Bulk, 'ids' | 'query'>): Promise<string[]> {
  if (ids !== undefined) return [...new Set(ids)];
  const found: string[] = [];
  let before: number | undefined;
  do {
    const page = jobs.list({ ...query, order: 'newest', limit: PAGE_SIZE, before });
    found.push(...page.jobs.map(({ job_id }) => job_id));
    before = page.next ?? undefined;
    // other requests may run between two pages
    await new Promise(setImmediate);
  } while (before !== undefined);
  return found;
}

/** The images of the jobs that have some; jobs without images, unknown ones and those in the bin are left out. */
async function filesOf(jobs: Jobs, ids: readonly string[], files: NonNullable<Zip['files']>): Promise<ZipFile[]> {
  const found: ZipFile[] = [];
  for (const jobId of ids) {
    const result = jobs.get(jobId)?.result;
    if (result == null) continue;
    const { filename: original, upscaled_filename: upscaled } = result;
    const names = { best: [upscaled ?? original], original: [original], all: [original, upscaled] }[files];
    for (const name of names) {
      const path = name == null ? null : await jobs.imageFile(name);
      if (name != null && path !== null) found.push({ name, read: () => createReadStream(path) });
    }
  }
  return found;
}

function errorOf(reason: unknown): { code: string; message: string } {
  const { code, message } = toWireError(reason);
  return { code, message };
}
