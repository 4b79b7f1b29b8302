import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { quoteValue } from '#main/lib/quote-value.ts';
import { AppError, appError } from '#shared/protocol/errors.ts';
import { limitedAddress } from '../../access/access-hook.ts';
import { errorAnswer, toAppError } from '../../error-reply.ts';
import type { App } from '../../fastify-app.ts';
import { EventQueue, eventStream, sendWhenDone } from '../delivery.ts';
import { onDisconnect } from '../disconnect.ts';
import { type DoorParts, newSeed } from '../door-parts.ts';
import { type DoorImage, fileOf, startDoorRun } from '../door-run.ts';
import { bodySchema, ignoredFields, knownFields } from '../fields.ts';
import { base64Image } from '../image-bytes.ts';
import { ImageLinks, registerImageLinks } from '../image-links.ts';
import { RecentRequests } from '../recent-requests.ts';
import { generationFields } from './fields.ts';
import { type Generation, type GenerationBody, parseGeneration } from './generation.ts';

const tags = ['openai'];
const PATH = '/v1/images/generations';

/** The images calls of OpenAI's API, for programs that already speak it. Source: https://platform.openai.com/docs/api-reference/images */
export async function registerOpenAi(app: App, parts: DoorParts): Promise<void> {
  const { jobs, library: registry, images, timing } = parts;
  const links = new ImageLinks();
  const recent = new RecentRequests();
  registerImageLinks(app, jobs, links);

  app.get('/v1/models', { schema: { tags, summary: 'The models that can run' } }, async () => ({
    object: 'list',
    data: (await registry.list()).map(modelObject),
  }));
  app.get('/v1/models/*', { schema: { tags, summary: 'One model', params: z.object({ '*': z.string() }) } }, async ({ params }) => {
    const model = (await registry.list()).find(({ name }) => name === params['*']);
    if (model === undefined) throw new AppError('unknown_model', `There is no model ${quoteValue(params['*'])}; GET /v1/models lists them.`, {});
    return modelObject(model);
  });

  await app.register(async (scope) => {
    // a form is refused by name and not by its media type; nothing of it is read
    scope.addContentTypeParser('multipart/form-data', (_request, _payload, done) => done(null));
    for (const name of ['edits', 'variations'])
      scope.post(`/v1/images/${name}`, { schema: { tags, summary: 'Not supported' } }, () => {
        throw new AppError('not_supported', `${name} are not supported by this server; /v1/images/generations is.`, {});
      });
  });

  const schema = { tags, summary: 'Images from a prompt', body: bodySchema(generationFields, ['prompt']) };
  app.post(PATH, { schema }, async (request, reply) => {
    const { body } = request;
    reply.header('x-request-id', request.id);
    const caller = `${request.ip} ${request.headers.authorization ?? ''}`;
    const known = recent.enter(caller, knownFields(generationFields, body), Number(request.headers['x-stainless-retry-count'] ?? 0) > 0, newSeed);
    if (known.failure !== undefined) throw known.failure;
    const generation = await parseGeneration(body, known.seed, registry);
    const ignored = ignoredFields(generationFields, body);
    if (ignored !== null) reply.header('x-zimage-ignored', ignored);

    const events = new EventQueue();
    const partials = body.stream ? (body.partial_images ?? 0) : 0;
    const sent = new Map<number, number>();
    const run = startDoorRun({
      jobs,
      from: limitedAddress(request) === null ? 'this_machine' : 'network',
      params: generation.params,
      until: generation.until,
      onPreview: (at, { step, data, media_type }) => {
        const steps = generation.params[at]?.steps ?? 1;
        const count = sent.get(at) ?? 0;
        // spread over the steps, the last of which is followed by the image itself
        if (count >= partials || step < ((count + 1) * steps) / (partials + 1)) return;
        sent.set(at, count + 1);
        events.push(partialEvent({ b64_json: data, partial_image_index: count, size: generation.size, output_format: media_type.slice('image/'.length) }));
      },
    });
    if (partials > 0) run.watchPreviews();
    onDisconnect(request, reply, run.cancel);
    await run.accepted;
    const write = (done: DoorImage[]) => answer(generation, done, body);
    if (!body.stream) return sendWhenDone(reply, run.images, { write, timing, onLateFailure: (reason) => Object.assign(known, { failure: reason }) });

    run.images.then(
      (done) => {
        for (const image of done) events.push(completedEvent(generation, image));
        events.push(null);
      },
      (reason: unknown) => {
        events.push(errorEvent(reason, request));
        events.push(null);
      },
    );
    // nginx would keep the events until the end
    reply.type('text/event-stream; charset=utf-8').headers({ 'cache-control': 'no-cache', 'x-accel-buffering': 'no' });
    return reply.send(Readable.from(eventStream(events, timing.keepAliveMs)));

    async function* answer({ params, delivery, asUrl, model, size }: Generation, done: readonly DoorImage[], asked: GenerationBody): AsyncGenerator<string> {
      yield `{"created":${created()},"model":${JSON.stringify(model)},"data":[`;
      for (const [at, { filename }] of done.entries()) {
        if (filename === null) throw appError('cancelled', {});
        yield at === 0 ? '{' : ',{';
        if (asUrl) yield `"url":${JSON.stringify(links.create(request, filename))}`;
        else yield* quoted('b64_json', base64Image(await fileOf(jobs, filename), images, delivery));
        yield '}';
      }
      const rest = {
        background: 'opaque',
        output_format: asUrl ? 'png' : delivery.format,
        quality: asked.quality ?? 'auto',
        size,
        usage: noUsage,
        zimage: { job_ids: done.map(({ jobId }) => jobId), seeds: params.map(({ seed }) => seed) },
      };
      yield `],${JSON.stringify(rest).slice(1)}`;
    }

    async function* completedEvent({ delivery, size }: Generation, { filename, jobId, params }: DoorImage): AsyncGenerator<string> {
      if (filename === null) return yield* errorEvent(appError('cancelled', {}), request);
      const type = 'image_generation.completed';
      yield `event: ${type}\ndata: {"type":"${type}",`;
      yield* quoted('b64_json', base64Image(await fileOf(jobs, filename), images, delivery));
      const rest = { created_at: created(), background: 'opaque', output_format: delivery.format, quality: body.quality ?? 'auto', size, usage: noUsage };
      yield `,${JSON.stringify({ ...rest, zimage: { job_id: jobId, seed: params.seed } }).slice(1)}\n\n`;
    }
  });
}

const noUsage = {
  input_tokens: 0,
  input_tokens_details: { image_tokens: 0, text_tokens: 0 },
  output_tokens: 0,
  output_tokens_details: { image_tokens: 0, text_tokens: 0 },
  total_tokens: 0,
};

function created(): number {
  return Math.floor(Date.now() / 1000);
}

function modelObject({ name }: { name: string }) {
  return { id: name, object: 'model', created: 0, owned_by: 'zimage' };
}

async function* quoted(name: string, text: AsyncIterable<string>): AsyncGenerator<string> {
  yield `"${name}":"`;
  yield* text;
  yield '"';
}

function partialEvent(fields: { b64_json: string; partial_image_index: number; size: string; output_format: string }): string[] {
  const type = 'image_generation.partial_image';
  const data = { type, ...fields, created_at: created(), quality: 'auto', background: 'opaque' };
  return [`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`];
}

/** A failure after the stream began. */
function errorEvent(reason: unknown, request: FastifyRequest): string[] {
  return [`event: error\ndata: ${JSON.stringify(errorAnswer(toAppError(reason, request), PATH).body)}\n\n`];
}
