import type { FastifyReply, FastifyRequest } from 'fastify';
import type { KeptImage } from '#main/images/uploads.ts';
import type { App } from '../../fastify-app.ts';
import { leaveUploadPlace, uploadPlace } from '../../upload-gate.ts';
import { sendWhenDone } from '../delivery.ts';
import type { DoorParts } from '../door-parts.ts';
import { type DoorImage, fileOf } from '../door-run.ts';
import { bodySchema, type FieldTable, type FieldValues, ignoredFields } from '../fields.ts';
import { base64Image } from '../image-bytes.ts';
import { keepInput, MAX_IMAGE_BODY_BYTES } from '../input-image.ts';
import { parseWork } from '../parse-work.ts';
import type { Size } from '../size.ts';
import { base64Bytes } from './base64-bytes.ts';
import { extraBatchFields, extraSingleFields, type extrasFields } from './fields.ts';
import type { A1111Runs } from './runs.ts';

type Options = FieldValues<typeof extrasFields>;

const tags = ['a1111'];
const DEFAULT_FACTOR = 2;
const DEFAULT_SIDE_PX = 512;

/** `extra-single-image` and `extra-batch-images`: images upscaled by Real-ESRGAN. */
export function registerExtras(app: App, parts: DoorParts, runs: A1111Runs): void {
  const { jobs, library, images, gate, timing } = parts;
  const large = { bodyLimit: MAX_IMAGE_BODY_BYTES, onRequest: uploadPlace(gate, MAX_IMAGE_BODY_BYTES) };

  const single = { tags, summary: 'An image upscaled', body: bodySchema(extraSingleFields, ['image']) };
  app.post('/sdapi/v1/extra-single-image', { schema: single, ...large }, async (request, reply) => {
    const kept = [await keepInput(base64Bytes(request.body.image ?? ''), 'image', parts)];
    return answer(request, reply, { options: request.body, kept, fields: extraSingleFields, brackets: ['"image":', ''] });
  });

  const batch = { tags, summary: 'Images upscaled', body: bodySchema(extraBatchFields, ['imageList']) };
  app.post('/sdapi/v1/extra-batch-images', { schema: batch, ...large }, async (request, reply) => {
    const kept: KeptImage[] = [];
    for (const { data } of request.body.imageList ?? []) kept.push(await keepInput(base64Bytes(data), 'imageList', parts));
    return answer(request, reply, { options: request.body, kept, fields: extraBatchFields, brackets: ['"images":[', ']'] });
  });

  async function answer(
    request: FastifyRequest,
    reply: FastifyReply,
    { options, kept, fields, brackets }: { options: Options; kept: readonly KeptImage[]; fields: FieldTable; brackets: [string, string] },
  ): Promise<FastifyReply> {
    const ignored = ignoredFields(fields, options);
    if (ignored !== null) reply.header('x-zimage-ignored', ignored);
    const known = (await library.upscalers()).find(({ name }) => name === options.upscaler_1);
    const sizes = kept.map((image) => sizeOf(options, image));
    const works = kept.map((image, at) =>
      parseWork('upscale', { image: image.id, scale: scaleOf(image, sizes[at] ?? image), ...(known === undefined ? {} : { upscaler: known.name }) }),
    );
    leaveUploadPlace(request);
    const { run } = runs.start({ request, reply, jobs, works, id: null });
    await run.accepted;
    return sendWhenDone(reply, run.images, { write, timing, onLateFailure: () => {} });

    async function* write(done: readonly DoorImage[]): AsyncGenerator<string> {
      yield `{${brackets[0]}`;
      const made = done.map(({ filename }, at) => ({ filename, size: sizes[at] ?? null })).filter(({ filename }) => filename !== null);
      for (const [at, { filename, size }] of made.entries()) {
        yield at === 0 ? '"' : ',"';
        yield* base64Image(await fileOf(jobs, filename ?? ''), images, { format: 'png', quality: 100, crop: null, resize: size });
        yield '"';
      }
      // an interrupted single image has none
      if (made.length === 0 && brackets[1] === '') yield 'null';
      yield `${brackets[1]},"html_info":""}`;
    }
  }
}

function sizeOf({ resize_mode, upscaling_resize, upscaling_resize_w, upscaling_resize_h }: Options, { width, height }: Size): Size {
  if (resize_mode === 1) return { width: upscaling_resize_w ?? DEFAULT_SIDE_PX, height: upscaling_resize_h ?? DEFAULT_SIDE_PX };
  const factor = upscaling_resize ?? DEFAULT_FACTOR;
  return { width: Math.round(width * factor), height: Math.round(height * factor) };
}

/** The smaller scale that reaches the size, or the larger one. */
function scaleOf(image: Size, asked: Size): 2 | 4 {
  return asked.width <= 2 * image.width && asked.height <= 2 * image.height ? 2 : 4;
}
