import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Checkpoint } from '#main/models/checkpoint.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { CreateJob } from '#shared/protocol/messages.ts';
import type { App } from '../../fastify-app.ts';
import { leaveUploadPlace, uploadPlace } from '../../upload-gate.ts';
import { sendWhenDone } from '../delivery.ts';
import { type DoorParts, newSeed } from '../door-parts.ts';
import { type DoorImage, fileOf } from '../door-run.ts';
import { bodySchema, type FieldTable, type FieldValues, ignoredFields } from '../fields.ts';
import { base64Image } from '../image-bytes.ts';
import { keepInput, keepOpaqueMask, MAX_IMAGE_BODY_BYTES, paddedInput } from '../input-image.ts';
import { parseWork } from '../parse-work.ts';
import { modelSize } from '../size.ts';
import { base64Bytes } from './base64-bytes.ts';
import { DEFAULT_SIDE_PX, img2imgFields, MAX_IMAGES, txt2imgFields } from './fields.ts';
import { infoOf, infotextOf } from './info.ts';
import { loraName, splitLoraTags } from './lora-tags.ts';
import type { A1111Runs } from './runs.ts';
import { checkpointNamed } from './sd-models.ts';

/** Settings of both calls; text-to-image has none of those about images. */
type Body = FieldValues<typeof img2imgFields>;
type Task = { type: 'text_to_image' | 'image_to_image' | 'inpaint'; params: object };

const tags = ['a1111'];
const DEFAULT_STRENGTH = 0.75;
const DEFAULT_BLUR_PX = 4;
/** By `resize_mode`. */
const fits = ['stretch', 'cover', 'contain', 'stretch'] as const;

/** `txt2img` and `img2img`. */
export function registerGenerate(app: App, parts: DoorParts, runs: A1111Runs): void {
  const { jobs, library, images, gate, timing } = parts;

  const txt2img = { tags, summary: 'Images from a prompt', body: bodySchema(txt2imgFields, ['prompt']) };
  app.post('/sdapi/v1/txt2img', { schema: txt2img }, (request, reply) =>
    answer(request, reply, { body: request.body, fields: txt2imgFields, task: { type: 'text_to_image', params: {} } }),
  );
  const img2img = { tags, summary: 'Images from an image; with a mask only parts of it change', body: bodySchema(img2imgFields, ['prompt', 'init_images']) };
  const large = { bodyLimit: MAX_IMAGE_BODY_BYTES, onRequest: uploadPlace(gate, MAX_IMAGE_BODY_BYTES) };
  app.post('/sdapi/v1/img2img', { schema: img2img, ...large }, async (request, reply) => {
    const task = await taskOf(request.body);
    // as the original answers unless `include_init_images` is set
    const body: Body = { ...request.body, init_images: null, mask: null };
    leaveUploadPlace(request);
    return answer(request, reply, { body, fields: img2imgFields, task });
  });

  async function taskOf(body: Body): Promise<Task> {
    const [source = ''] = body.init_images ?? [];
    const asked = askedSize(body);
    const image = await keepInput(base64Bytes(source), 'init_images', parts);
    // scaling would move what a mask keeps, so a size that the model cannot make is filled up
    const isOwnSize = image.width === asked.width && image.height === asked.height;
    const pad = async (kept: typeof image): Promise<string> => (isOwnSize ? await paddedInput(kept, modelSize(asked), parts) : kept).id;
    const strength = body.denoising_strength ?? DEFAULT_STRENGTH;
    const params = { image: await pad(image), strength, fit: fits[body.resize_mode ?? 0] };
    if (typeof body.mask !== 'string') return { type: 'image_to_image', params };
    const mask = await keepOpaqueMask(base64Bytes(body.mask), Number(body.inpainting_mask_invert ?? 0) > 0, parts);
    if (mask.width !== image.width || mask.height !== image.height) {
      const message = `mask has ${mask.width} x ${mask.height} pixels; it must have ${image.width} x ${image.height} as the image.`;
      throw new AppError('bad_param', message, { field: 'mask' });
    }
    const begins = body.inpainting_fill === 1 ? strength : 1;
    return { type: 'inpaint', params: { ...params, strength: begins, mask: await pad(mask), feather: body.mask_blur ?? DEFAULT_BLUR_PX } };
  }

  async function answer(
    request: FastifyRequest,
    reply: FastifyReply,
    { body, fields, task }: { body: Body; fields: FieldTable; task: Task },
  ): Promise<FastifyReply> {
    const asked = askedSize(body);
    const checkpoint = (await checkpointNamed(body.override_settings?.['sd_model_checkpoint'], library)) ?? (await library.checkpointFor('uint4'));
    const { works, seeds } = worksOf(body, asked, checkpoint, task);
    const parameters = jsonOf(body);
    const ignored = ignoredFields(fields, body);
    if (ignored !== null) reply.header('x-zimage-ignored', ignored);
    const entry = runs.start({ request, reply, jobs, works, id: body.force_task_id ?? null });
    await entry.run.accepted;
    return sendWhenDone(reply, entry.run.images, { write, timing, onLateFailure: () => {} });

    /** Of an interrupted request only the images that are done. */
    async function* write(all: readonly DoorImage[]): AsyncGenerator<string> {
      const made = all.map(({ filename }, at) => ({ filename, seed: seeds[at] ?? 0 })).filter(({ filename }) => filename !== null);
      yield '{"images":[';
      const infotexts: string[] = [];
      for (const [at, { filename }] of made.entries()) {
        const path = await fileOf(jobs, filename ?? '');
        infotexts.push(await infotextOf(path));
        yield at === 0 ? '"' : ',"';
        const size = modelSize(asked);
        const isExact = size.width === asked.width && size.height === asked.height;
        yield* base64Image(path, images, { format: 'png', quality: 100, crop: isExact ? null : asked });
        yield '"';
      }
      const [first] = works;
      const steps = first !== undefined && 'steps' in first.params ? first.params.steps : 0;
      const said = { seeds: made.length > 0 ? made.map(({ seed }) => seed) : seeds, infotexts, asked, checkpoint, steps, isInterrupted: entry.isInterrupted };
      yield `],"parameters":${parameters},"info":${JSON.stringify(JSON.stringify(infoOf(body, said)))}}`;
    }
  }
}

function askedSize({ width, height }: Body): { width: number; height: number } {
  return { width: width ?? DEFAULT_SIDE_PX, height: height ?? DEFAULT_SIDE_PX };
}

/** Throws `bad_message` for a body that is nested too deeply to be repeated in the answer. */
function jsonOf(body: Body): string {
  try {
    return JSON.stringify(body);
  } catch (cause) {
    throw new AppError('bad_message', 'The body is nested too deeply.', {}, { cause });
  }
}

function worksOf(body: Body, asked: { width: number; height: number }, { modelType }: Checkpoint, task: Task): { works: CreateJob[]; seeds: number[] } {
  const count = (body.batch_size ?? 1) * (body.n_iter ?? 1);
  if (count > MAX_IMAGES) throw new AppError('bad_param', `batch_size x n_iter is ${count}; it must be at most ${MAX_IMAGES}.`, { field: 'batch_size' });
  const { prompt, loras: tagged } = splitLoraTags(body.prompt ?? '');
  const loras = [...tagged, ...(body.lora ?? []).map(({ path, multiplier }) => ({ name: loraName(path), weight: multiplier ?? 1 }))];
  const first = body.seed === undefined || body.seed === null || body.seed < 0 ? newSeed() : body.seed;
  const seeds = Array.from({ length: count }, (_, at) => first + at);
  const obeyed = body.override_settings?.['zimage_steps'] === true ? { steps: body.steps ?? undefined, guidance_scale: body.cfg_scale ?? undefined } : {};
  const common = {
    prompt,
    ...modelSize(asked),
    negative_prompt: body.negative_prompt ?? undefined,
    loras,
    model_type: modelType,
    // only a caller that asks for the upscaled version gets one
    upscale: false,
    ...obeyed,
    ...task.params,
  };
  return { works: seeds.map((seed) => parseWork(task.type, { ...common, seed })), seeds };
}
