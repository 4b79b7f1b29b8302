import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { quoteValue } from '#main/lib/quote-value.ts';
import { AppError, appError } from '#shared/protocol/errors.ts';
import type { JobPreviewMessage } from '#shared/protocol/messages.ts';
import { limitedAddress } from '../../access/access-hook.ts';
import type { App } from '../../fastify-app.ts';
import { leaveUploadPlace, uploadPlace } from '../../upload-gate.ts';
import { fromTexts } from '../../validate.ts';
import { callerOf } from '../caller.ts';
import { EventQueue, eventStream, sendWhenDone } from '../delivery.ts';
import { onDisconnect } from '../disconnect.ts';
import { type DoorParts, newSeed } from '../door-parts.ts';
import { type DoorImage, startDoorRun } from '../door-run.ts';
import { bodySchema, type FieldTable, ignoredFields, knownFields } from '../fields.ts';
import { ImageLinks, registerImageLinks } from '../image-links.ts';
import { MAX_IMAGE_BODY_BYTES } from '../input-image.ts';
import { RecentRequests } from '../recent-requests.ts';
import { type AnswerParts, completedEvent, errorEvent, imagesAnswer, partialEvent } from './answer.ts';
import { editFields, generationFields, variationFields } from './fields.ts';
import { parseForm } from './form.ts';
import { type ImagesBody, type Inputs, keepInputs, parseGeneration } from './generation.ts';

const tags = ['openai'];

/** The images calls of OpenAI's API, for programs that already speak it. Source: https://platform.openai.com/docs/api-reference/images */
export async function registerOpenAi(app: App, parts: DoorParts): Promise<void> {
  const { jobs, library: registry, images, timing, gate } = parts;
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

  const generations = { tags, summary: 'Images from a prompt', body: bodySchema(generationFields, ['prompt']) };
  app.post('/v1/images/generations', { schema: generations }, (request, reply) =>
    answer(request, reply, { body: request.body, inputs: null, fields: generationFields, event: 'image_generation' }),
  );

  await app.register(async (plain) => {
    const scope = plain.withTypeProvider<ZodTypeProvider>();
    scope.addContentTypeParser('multipart/form-data', { parseAs: 'buffer', bodyLimit: MAX_IMAGE_BODY_BYTES }, (request, body: Buffer, done) => {
      try {
        const { body: schema } = request.routeOptions.schema ?? {};
        done(null, fromTexts(schema as z.ZodType, parseForm(body, request.headers['content-type'] ?? '')));
      } catch (thrown) {
        done(thrown as Error);
      }
    });
    const large = { bodyLimit: MAX_IMAGE_BODY_BYTES, onRequest: uploadPlace(gate, MAX_IMAGE_BODY_BYTES) };
    const consumes = ['multipart/form-data', 'application/json'];
    const edits = {
      tags,
      summary: 'Images from an image and a prompt; with a mask only parts of it change',
      consumes,
      body: bodySchema(editFields, ['prompt']),
    };
    scope.post('/v1/images/edits', { schema: edits, ...large }, (request, reply) => fromImage(request, reply, request.body, editFields));
    const variations = { tags, summary: 'Variations of an image', consumes, body: bodySchema(variationFields) };
    scope.post('/v1/images/variations', { schema: variations, ...large }, (request, reply) => fromImage(request, reply, request.body, variationFields));
  });

  async function fromImage(request: FastifyRequest, reply: FastifyReply, sent: ImagesBody, fields: FieldTable): Promise<FastifyReply> {
    const inputs = await keepInputs(sent, parts);
    const { image: _image, images: _images, mask: _mask, ...body } = sent;
    leaveUploadPlace(request);
    return answer(request, reply, { body, inputs, fields, event: 'image_edit' });
  }

  async function answer(
    request: FastifyRequest,
    reply: FastifyReply,
    { body, inputs, fields, event }: { body: ImagesBody; inputs: Inputs | null; fields: FieldTable; event: AnswerParts['event'] },
  ): Promise<FastifyReply> {
    reply.header('x-request-id', request.id);
    const caller = callerOf(request);
    const asked = { ...knownFields(fields, body), inputs: [inputs?.image.id, inputs?.mask?.id] };
    const known = recent.enter(caller, asked, Number(request.headers['x-stainless-retry-count'] ?? 0) > 0, newSeed);
    if (known.failure !== undefined) throw known.failure;
    const generation = await parseGeneration(body, { seed: known.seed, registry, inputs, parts });
    const ignored = ignoredFields(fields, body);
    if (ignored !== null) reply.header('x-zimage-ignored', ignored);

    const written: AnswerParts = { request, generation, quality: body.quality ?? 'auto', event, jobs, images, links };
    const events = new EventQueue();
    const partials = body.stream ? (body.partial_images ?? 0) : 0;
    const sent = new Map<number, number>();
    /** Of each image the newest preview that came too early to be sent. */
    const early = new Map<number, JobPreviewMessage>();
    const sendPreview = (at: number, { data, media_type }: JobPreviewMessage): void => {
      const count = sent.get(at) ?? 0;
      if (count >= partials) return;
      sent.set(at, count + 1);
      early.delete(at);
      events.push(partialEvent(written, { b64_json: data, partial_image_index: count, output_format: media_type.slice('image/'.length) }));
    };
    const run = startDoorRun({
      jobs,
      caller: { from: limitedAddress(request) === null ? 'this_machine' : 'network', requester: `openai:${caller}` },
      works: generation.works,
      until: generation.until,
      // spread over the steps, the last of which is followed by the image itself
      onPreview: (at, preview) => {
        if (preview.step < (((sent.get(at) ?? 0) + 1) * generation.steps) / (partials + 1)) early.set(at, preview);
        else sendPreview(at, preview);
      },
    });
    if (partials > 0) run.watchPreviews();
    onDisconnect(request, reply, run.cancel);
    await run.accepted;
    if (!body.stream)
      return sendWhenDone(reply, run.images.then(assertAllMade), {
        write: (done) => imagesAnswer(written, done),
        timing,
        onLateFailure: (reason) => Object.assign(known, { failure: reason }),
      });

    run.images.then(
      (done) => {
        // a fast model makes few previews
        for (const [at, preview] of early) sendPreview(at, preview);
        for (const [at, image] of done.entries()) events.push(completedEvent(written, image, at));
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
  }
}

/** Throws `cancelled` before the answer begins, so that the client gets to read it. */
function assertAllMade(images: DoorImage[]): DoorImage[] {
  if (images.some(({ filename }) => filename === null)) throw appError('cancelled', {});
  return images;
}

function modelObject({ name }: { name: string }) {
  return { id: name, object: 'model', created: 0, owned_by: 'zimage' };
}
