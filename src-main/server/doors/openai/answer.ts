import type { FastifyRequest } from 'fastify';
import type { Images } from '#main/images/images.ts';
import type { Jobs } from '#main/jobs/jobs.ts';
import { appError } from '#shared/protocol/errors.ts';
import { errorAnswer, toAppError } from '../../error-reply.ts';
import { type DoorImage, fileOf } from '../door-run.ts';
import { base64Image } from '../image-bytes.ts';
import type { ImageLinks } from '../image-links.ts';
import type { Generation } from './generation.ts';

/** How the answers of one request are written. */
export interface AnswerParts {
  request: FastifyRequest;
  generation: Generation;
  quality: string;
  /** The first half of its events' types. */
  event: 'image_generation' | 'image_edit';
  jobs: Jobs;
  images: Images;
  links: ImageLinks;
}

const noUsage = {
  input_tokens: 0,
  input_tokens_details: { image_tokens: 0, text_tokens: 0 },
  output_tokens: 0,
  output_tokens_details: { image_tokens: 0, text_tokens: 0 },
  total_tokens: 0,
};

/** The answer without a stream, in parts. Throws `cancelled` where an image is missing. */
export async function* imagesAnswer({ request, generation, quality, jobs, images, links }: AnswerParts, done: readonly DoorImage[]): AsyncGenerator<string> {
  const { delivery, asUrl, model, size, seeds } = generation;
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
    quality,
    size,
    usage: noUsage,
    zimage: { job_ids: done.map(({ jobId }) => jobId), seeds },
  };
  yield `],${JSON.stringify(rest).slice(1)}`;
}

/** The event with one of the images, in parts. */
export async function* completedEvent(
  { request, generation, quality, event, jobs, images }: AnswerParts,
  image: DoorImage,
  at: number,
): AsyncGenerator<string> {
  const { filename, jobId } = image;
  const { delivery, size, seeds } = generation;
  if (filename === null) return yield* errorEvent(appError('cancelled', {}), request);
  const type = `${event}.completed`;
  yield `event: ${type}\ndata: {"type":"${type}",`;
  yield* quoted('b64_json', base64Image(await fileOf(jobs, filename), images, delivery));
  const rest = { created_at: created(), background: 'opaque', output_format: delivery.format, quality, size, usage: noUsage };
  yield `,${JSON.stringify({ ...rest, zimage: { job_id: jobId, seed: seeds[at] } }).slice(1)}\n\n`;
}

export function partialEvent(
  { event, generation: { size }, quality }: AnswerParts,
  fields: { b64_json: string; partial_image_index: number; output_format: string },
): string[] {
  const type = `${event}.partial_image`;
  const data = { type, ...fields, size, created_at: created(), quality, background: 'opaque' };
  return [`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`];
}

/** A failure after the stream began. */
export function errorEvent(reason: unknown, request: FastifyRequest): string[] {
  return [`event: error\ndata: ${JSON.stringify(errorAnswer(toAppError(reason, request), request.url.split('?')[0] ?? '').body)}\n\n`];
}

function created(): number {
  return Math.floor(Date.now() / 1000);
}

async function* quoted(name: string, text: AsyncIterable<string>): AsyncGenerator<string> {
  yield `"${name}":"`;
  yield* text;
  yield '"';
}
