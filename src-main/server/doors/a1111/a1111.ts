import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { PARAMETERS_KEYWORD } from '#shared/domain/recipe.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { App } from '../../fastify-app.ts';
import { uploadPlace } from '../../upload-gate.ts';
import type { DoorParts } from '../door-parts.ts';
import { MAX_IMAGE_BODY_BYTES } from '../input-image.ts';
import { base64Bytes } from './base64-bytes.ts';
import { registerExtras } from './extras.ts';
import { registerGenerate } from './generate.ts';
import { A1111Runs, progressAnswer } from './runs.ts';
import { checkpointNamed, sdModel } from './sd-models.ts';

const tags = ['a1111'];
/** What clients ask for at the start, and what is the same here always. */
const fixedAnswers = {
  '/sdapi/v1/hypernetworks': [],
  '/sdapi/v1/face-restorers': [],
  '/sdapi/v1/prompt-styles': [],
  '/sdapi/v1/sd-vae': [],
  '/sdapi/v1/sd-modules': [],
  '/sdapi/v1/latent-upscale-modes': [],
  '/sdapi/v1/embeddings': { loaded: {}, skipped: {} },
  '/sdapi/v1/scripts': { txt2img: [], img2img: [] },
  '/sdapi/v1/cmd-flags': {},
  '/queue/status': {},
  '/controlnet/model_list': { model_list: [] },
  '/controlnet/module_list': { module_list: [] },
  '/sdapi/v1/samplers': ['Euler', 'Euler a', 'Automatic'].map((name) => ({ name, aliases: [name.toLowerCase()], options: {} })),
  '/sdapi/v1/schedulers': [{ name: 'simple', label: 'Simple', aliases: null, default_rho: -1, need_inner_model: false }],
} as const;

/** The calls of AUTOMATIC1111's web UI that its clients use. Source: https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/API */
export function registerA1111(app: App, { mayChangeModel, ...parts }: DoorParts & { mayChangeModel: (request: FastifyRequest) => boolean }): void {
  const { library, images, gate } = parts;
  const runs = new A1111Runs();
  const query = z.looseObject({ id: z.string().max(256).optional(), skip_current_image: z.string().optional() });

  for (const [url, answer] of Object.entries(fixedAnswers)) app.get(url, { schema: { tags, summary: 'A fixed answer' } }, () => answer);

  app.get('/sdapi/v1/upscalers', { schema: { tags, summary: 'The upscalers' } }, async () =>
    (await library.upscalers()).map(({ name }) => ({ name, model_name: name, model_path: null, model_url: null, scale: 4 })),
  );
  app.get('/sdapi/v1/loras', { schema: { tags, summary: 'The installed LoRAs' } }, async () =>
    (await library.loras()).map(({ name, path }) => ({ name, alias: name, path, metadata: {} })),
  );
  for (const list of ['checkpoints', 'loras', 'vae'])
    app.post(`/sdapi/v1/refresh-${list}`, { schema: { tags, summary: 'Does nothing, since lists are always read again' } }, () => ({}));
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
      const run = runs.find(request.query.id ?? null, request).at(-1);
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
        for (const run of runs.find(request.query.id ?? null, request)) {
          run.isInterrupted = true;
          run.run.cancel();
        }
        return {};
      },
    );

  const pngInfo = { tags, summary: 'The texts of a PNG: base64, with or without a data URI', body: z.looseObject({ image: z.string() }) };
  const large = { bodyLimit: MAX_IMAGE_BODY_BYTES, onRequest: uploadPlace(gate, MAX_IMAGE_BODY_BYTES) };
  app.post('/sdapi/v1/png-info', { schema: pngInfo, ...large }, async (request) => {
    const { texts } = await images.import(base64Bytes(request.body.image));
    const items = Object.fromEntries(texts.map(({ keyword, text }) => [keyword, text]));
    return { info: items[PARAMETERS_KEYWORD] ?? '', items, parameters: {} };
  });
  app.post('/sdapi/v1/interrogate', { schema: { tags, summary: 'Not supported' }, ...large }, () => {
    throw new AppError('not_supported', 'interrogate is not supported by this server: it has no model that describes images.', {});
  });

  registerGenerate(app, parts, runs);
  registerExtras(app, parts, runs);
}
