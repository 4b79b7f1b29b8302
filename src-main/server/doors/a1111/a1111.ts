import { readFile } from 'node:fs/promises';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { readPngTexts } from '#main/lib/png-texts.ts';
import type { Checkpoint } from '#main/models/checkpoint.ts';
import type { ModelLibrary } from '#main/models/library.ts';
import { modelTypeSchema } from '#shared/domain/job.ts';
import { PARAMETERS_KEYWORD } from '#shared/domain/recipe.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { textToImageParamsSchema } from '#shared/protocol/messages.ts';
import { limitedAddress } from '../../access/access-hook.ts';
import type { App } from '../../fastify-app.ts';
import { paramError } from '../../param-error.ts';
import { uploadPlace } from '../../upload-gate.ts';
import { sendWhenDone } from '../delivery.ts';
import { onDisconnect } from '../disconnect.ts';
import { type DoorParts, newSeed } from '../door-parts.ts';
import { type DoorImage, fileOf, startDoorRun } from '../door-run.ts';
import { bodySchema, type FieldValues, ignoredFields } from '../fields.ts';
import { base64Image } from '../image-bytes.ts';
import { modelSize } from '../size.ts';
import { DEFAULT_SIDE_PX, MAX_IMAGES, txt2imgFields } from './fields.ts';
import { type A1111Run, A1111Runs, progressAnswer } from './runs.ts';

type Body = FieldValues<typeof txt2imgFields>;

const tags = ['a1111'];
const SAMPLER = 'Euler';
const MAX_PNG_INFO_BYTES = 64 * 1024 * 1024;
/** Lists that clients ask for at the start and that are empty here. */
const emptyLists = {
  '/sdapi/v1/hypernetworks': [],
  '/sdapi/v1/face-restorers': [],
  '/sdapi/v1/prompt-styles': [],
  '/sdapi/v1/sd-vae': [],
  '/sdapi/v1/sd-modules': [],
  '/sdapi/v1/loras': [],
  '/sdapi/v1/latent-upscale-modes': [],
  '/sdapi/v1/embeddings': { loaded: {}, skipped: {} },
  '/sdapi/v1/scripts': { txt2img: [], img2img: [] },
  '/sdapi/v1/cmd-flags': {},
  '/queue/status': {},
  '/sdapi/v1/samplers': ['Euler', 'Euler a', 'Automatic'].map((name) => ({ name, aliases: [name.toLowerCase()], options: {} })),
  '/sdapi/v1/schedulers': [{ name: 'simple', label: 'Simple', aliases: null, default_rho: -1, need_inner_model: false }],
} as const;

/** The calls of AUTOMATIC1111's web UI that its clients use. Source: https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/API */
export function registerA1111(
  app: App,
  { jobs, library, images, gate, timing, mayChangeModel }: DoorParts & { mayChangeModel: (request: FastifyRequest) => boolean },
): void {
  const runs = new A1111Runs();
  const callerOf = (request: FastifyRequest): string => request.headers.authorization || request.ip;
  const query = z.looseObject({ id: z.string().max(256).optional(), skip_current_image: z.string().optional() });

  for (const [url, answer] of Object.entries(emptyLists)) app.get(url, { schema: { tags, summary: 'A fixed answer' } }, () => answer);

  app.get('/sdapi/v1/upscalers', { schema: { tags, summary: 'The upscaler' } }, async () => {
    const { name } = await library.upscaler();
    return [
      { name: 'None', model_name: null, model_path: null, model_url: null, scale: 4 },
      { name, model_name: name, model_path: null, model_url: null, scale: 4 },
    ];
  });
  app.get('/sdapi/v1/sd-models', { schema: { tags, summary: 'The models that can run' } }, async () => (await library.list()).map(sdModel));
  app.get('/sdapi/v1/options', { schema: { tags, summary: 'The model in use' } }, async () => {
    const { title, sha256 } = sdModel(await library.checkpointFor('uint4'));
    return { sd_model_checkpoint: title, sd_checkpoint_hash: sha256, samples_format: 'png', CLIP_stop_at_last_layers: 1, sd_vae: 'Automatic' };
  });
  app.post(
    '/sdapi/v1/options',
    { schema: { tags, summary: 'Choose the model; other options are accepted and ignored', body: z.looseObject({}) } },
    async (request) => {
      const wanted = await checkpointNamed(request.body['sd_model_checkpoint'], library);
      if (wanted === null || (await library.checkpointFor(wanted.modelType)).dir === wanted.dir) return {};
      if (!mayChangeModel(request)) throw new AppError('access_key_required', 'Choosing another model needs the access key.', {});
      await library.act(wanted.name, 'use');
      return {};
    },
  );

  app.get(
    '/sdapi/v1/progress',
    { schema: { tags, summary: 'Progress of the caller, or of the request with the force_task_id `id`', querystring: query } },
    async (request) => {
      const run = runs.find(request.query.id ?? null, callerOf(request)).at(-1);
      const withImage = request.query.skip_current_image !== 'true';
      if (withImage) run?.run.watchPreviews();
      return progressAnswer(run, performance.now(), withImage);
    },
  );
  for (const name of ['interrupt', 'skip'])
    app.post(
      `/sdapi/v1/${name}`,
      { schema: { tags, summary: 'End the requests of the caller, or the one with the force_task_id `id`', querystring: query } },
      async (request) => {
        for (const run of runs.find(request.query.id ?? null, callerOf(request))) {
          run.isInterrupted = true;
          run.run.cancel();
        }
        return {};
      },
    );

  const pngInfo = { tags, summary: 'The texts of a PNG: base64, with or without a data URI', body: z.looseObject({ image: z.string() }) };
  app.post('/sdapi/v1/png-info', { schema: pngInfo, bodyLimit: MAX_PNG_INFO_BYTES, onRequest: uploadPlace(gate, MAX_PNG_INFO_BYTES) }, async (request) => {
    const { texts } = await images.import(Buffer.from(request.body.image.replace(/^data:[^,]*,/, ''), 'base64'));
    const items = Object.fromEntries(texts.map(({ keyword, text }) => [keyword, text]));
    return { info: items[PARAMETERS_KEYWORD] ?? '', items, parameters: {} };
  });
  for (const name of ['img2img', 'extra-single-image', 'extra-batch-images'])
    app.post(`/sdapi/v1/${name}`, { schema: { tags, summary: 'Not supported' } }, () => {
      throw new AppError('not_supported', `${name} is not supported by this server; txt2img is.`, {});
    });

  const schema = { tags, summary: 'Images from a prompt', body: bodySchema(txt2imgFields, ['prompt']) };
  app.post('/sdapi/v1/txt2img', { schema }, async (request, reply) => {
    const { body } = request;
    const asked = { width: body.width ?? DEFAULT_SIDE_PX, height: body.height ?? DEFAULT_SIDE_PX };
    const checkpoint = (await checkpointNamed(body.override_settings?.['sd_model_checkpoint'], library)) ?? (await library.checkpointFor('uint4'));
    const params = paramsOf(body, asked, checkpoint);
    const parameters = jsonOf(body);
    const ignored = ignoredFields(txt2imgFields, body);
    if (ignored !== null) reply.header('x-zimage-ignored', ignored);
    const run = startDoorRun({
      jobs,
      from: limitedAddress(request) === null ? 'this_machine' : 'network',
      params,
      until: 'generated',
      onProgress: (at, progress) => entry.progress.set(at, progress),
      onPreview: (_, { data }) => {
        entry.preview = data;
      },
    });
    const entry: A1111Run = {
      id: body.force_task_id ?? null,
      caller: callerOf(request),
      startedMs: performance.now(),
      images: params.length,
      progress: new Map(),
      preview: null,
      isInterrupted: false,
      run,
    };
    const remove = runs.add(entry);
    void run.images.then(remove, remove);
    onDisconnect(request, reply, run.cancel);
    await run.accepted;
    return sendWhenDone(reply, run.images, { write: answer, timing, onLateFailure: () => {} });

    /** Of an interrupted request only the images that are done. */
    async function* answer(all: readonly DoorImage[]): AsyncGenerator<string> {
      const done = all.flatMap(({ filename, params: made }) => (filename === null ? [] : [{ filename, made }]));
      yield '{"images":[';
      const infotexts: string[] = [];
      for (const [at, { filename, made }] of done.entries()) {
        const path = await fileOf(jobs, filename);
        infotexts.push(await infotextOf(path));
        yield at === 0 ? '"' : ',"';
        const isExact = made.width === asked.width && made.height === asked.height;
        yield* base64Image(path, images, { format: 'png', quality: 100, crop: isExact ? null : asked });
        yield '"';
      }
      const seeds = (done.length > 0 ? done.map(({ made }) => made) : params).map(({ seed }) => seed);
      const info = infoOf(body, { seeds, infotexts, asked, checkpoint, steps: params[0]?.steps ?? 0, isInterrupted: entry.isInterrupted });
      yield `],"parameters":${parameters},"info":${JSON.stringify(JSON.stringify(info))}}`;
    }
  });
}

/** Throws `bad_message` for a body that is nested too deeply to be repeated in the answer. */
function jsonOf(body: Body): string {
  try {
    return JSON.stringify(body);
  } catch (cause) {
    throw new AppError('bad_message', 'The body is nested too deeply.', {}, { cause });
  }
}

function paramsOf(body: Body, asked: { width: number; height: number }, { modelType }: Checkpoint) {
  const count = (body.batch_size ?? 1) * (body.n_iter ?? 1);
  if (count > MAX_IMAGES) throw new AppError('bad_param', `batch_size x n_iter is ${count}; it must be at most ${MAX_IMAGES}.`, { field: 'batch_size' });
  const lora = /<lora:[^>]*>/i.exec(body.prompt ?? '')?.[0];
  if (lora !== undefined)
    throw new AppError('bad_param', `prompt has ${JSON.stringify(lora.slice(0, 100))}; LoRAs are not supported. Remove it.`, { field: 'prompt' });
  const first = body.seed === undefined || body.seed === null || body.seed < 0 ? newSeed() : body.seed;
  const obeyed = body.override_settings?.['zimage_steps'] === true ? { steps: body.steps ?? undefined, guidance_scale: body.cfg_scale ?? undefined } : {};
  return Array.from({ length: count }, (_, at) => {
    const raw = { prompt: body.prompt, ...modelSize(asked), seed: first + at, model_type: modelType, ...obeyed };
    const parsed = textToImageParamsSchema.safeParse(raw);
    if (!parsed.success) throw paramError(textToImageParamsSchema, raw, parsed.error);
    return parsed.data;
  });
}

interface Made {
  seeds: number[];
  infotexts: string[];
  asked: { width: number; height: number };
  checkpoint: Checkpoint;
  steps: number;
  isInterrupted: boolean;
}

/** What clients read from the JSON text `info`. */
function infoOf(body: Body, { seeds, infotexts, asked, checkpoint, steps, isInterrupted }: Made) {
  return {
    prompt: body.prompt,
    all_prompts: seeds.map(() => body.prompt),
    negative_prompt: body.negative_prompt ?? '',
    all_negative_prompts: seeds.map(() => body.negative_prompt ?? ''),
    seed: seeds[0],
    all_seeds: seeds,
    subseed: seeds[0],
    all_subseeds: seeds,
    subseed_strength: 0,
    ...asked,
    sampler_name: body.sampler_name ?? body.sampler_index ?? SAMPLER,
    cfg_scale: body.cfg_scale ?? 0,
    steps,
    requested_steps: body.steps ?? null,
    batch_size: body.batch_size ?? 1,
    restore_faces: false,
    sd_model_name: checkpoint.name,
    sd_model_hash: checkpoint.fingerprint.slice(0, 10),
    infotexts,
    job_timestamp: new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14),
    interrupted: isInterrupted,
  };
}

async function infotextOf(path: string): Promise<string> {
  return readPngTexts(await readFile(path)).find(({ keyword }) => keyword === PARAMETERS_KEYWORD)?.text ?? '';
}

function sdModel({ name, fingerprint, dir }: Checkpoint) {
  const hash = fingerprint.slice(0, 10);
  return { title: `${name} [${hash}]`, model_name: name, hash, sha256: fingerprint, filename: dir, config: null };
}

/** By title, name, hash or our `model_type`; null for anything else, as clients repeat options of other servers. */
async function checkpointNamed(text: unknown, library: ModelLibrary): Promise<Checkpoint | null> {
  if (typeof text !== 'string' || text === '') return null;
  const type = modelTypeSchema.safeParse(text).data;
  if (type !== undefined) return library.checkpointFor(type);
  return (await library.list()).find((one) => Object.values(sdModel(one)).includes(text)) ?? null;
}
