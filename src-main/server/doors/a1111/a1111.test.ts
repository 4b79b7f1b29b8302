import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Answer, ask } from '../../../../tests/doubles/ask.ts';
import { startStudioServer } from '../../../../tests/doubles/studio-server.ts';
import { StudioProcess } from '../../../../tests/support/studio-process.ts';

const json = { 'content-type': 'application/json' };
let server: StudioProcess;

beforeAll(async () => {
  server = await StudioProcess.start({ engine: { stepMs: 10 } });
});
afterAll(() => server.dispose());

const get = (path: string): Promise<Answer> => ask(server.port, path);
const post = (path: string, body: unknown): Promise<Answer> => ask(server.port, path, { method: 'POST', headers: json, body: JSON.stringify(body) });
const queue = (action: string): Promise<Answer> => post('/api/queue', { action });

/** The bodies that clients send, written from their sources. */
const clients = {
  'Open WebUI': { prompt: 'a red fox', batch_size: 1, width: 512, height: 512, negative_prompt: '', steps: 50 },
  LibreChat: { prompt: 'a red fox', negative_prompt: 'blurry', cfg_scale: 4.5, steps: 22, width: 1024, height: 1024 },
  SillyTavern: {
    prompt: 'a red fox',
    negative_prompt: '',
    sampler_name: 'Euler a',
    scheduler: 'Automatic',
    steps: 20,
    cfg_scale: 7,
    width: 512,
    height: 512,
    restore_faces: false,
    enable_hr: false,
    hr_upscaler: 'Latent',
    hr_scale: 2,
    denoising_strength: 0.7,
    clip_skip: 1,
    url: 'http://localhost:8004',
    auth: '',
    save_images: true,
    send_images: true,
    do_not_save_grid: false,
    override_settings: { CLIP_stop_at_last_layers: 1 },
    override_settings_restore_afterwards: true,
  },
  webuiapi: {
    prompt: 'a red fox',
    negative_prompt: '',
    seed: -1,
    steps: 20,
    cfg_scale: 7,
    width: 512,
    height: 512,
    sampler_name: 'Euler a',
    sampler_index: 'Euler a',
    n_iter: 1,
    batch_size: 1,
    styles: [],
    script_args: [],
    alwayson_scripts: {},
  },
  GIMP: { prompt: 'a red fox', negative_prompt: '', width: 520, height: 264, steps: 25, sampler_index: 'Euler', cfg_scale: 7.5, seed: -1, batch_size: 1 },
  Krita: {
    prompt: 'a red fox',
    sampler_name: 'Euler',
    seed: 4,
    steps: 20,
    cfg_scale: 7,
    width: 256,
    height: 256,
    batch_size: 2,
    n_iter: 1,
    styles: [],
    tiling: false,
  },
};

test.for(Object.entries(clients))('the request of %s: an image of the asked size, and info that the client can read', async ([, body]) => {
  const answer = await post('/sdapi/v1/txt2img', body);
  expect(answer.status).toBe(200);
  const { images, info, parameters } = answer.json() as { images: string[]; info: string; parameters: object };
  expect(images).toHaveLength('batch_size' in body ? body.batch_size : 1);
  const { width, height } = await sharp(Buffer.from(images[0] ?? '', 'base64')).metadata();
  expect([width, height]).toEqual([body.width, body.height]);
  expect(parameters).toEqual(body);
  const read = JSON.parse(info);
  expect(read).toMatchObject({ prompt: 'a red fox', width: body.width, height: body.height, steps: 9, requested_steps: body.steps });
  expect(read.infotexts[0]).toMatch(/^a red fox\n(Negative prompt: blurry\n)?Steps: 9/);
  expect(read.all_seeds).toEqual(images.map((_, at) => read.seed + at));
});

test('override_settings can ask for steps to be obeyed', async () => {
  const answer = await post('/sdapi/v1/txt2img', {
    prompt: 'obeyed',
    width: 256,
    height: 256,
    steps: 3,
    cfg_scale: 0,
    override_settings: { zimage_steps: true },
  });
  expect(JSON.parse(String(answer.json()['info']))).toMatchObject({ steps: 3 });
});

test.each(['', 'data:image/png;base64,'])('png-info reads what txt2img made, with the prefix %j', async (prefix) => {
  const made = (await post('/sdapi/v1/txt2img', { prompt: 'read back', width: 256, height: 256, seed: 3 })).json() as { images: string[]; info: string };
  const answer = (await post('/sdapi/v1/png-info', { image: `${prefix}${made.images[0]}` })).json();
  expect(answer).toMatchObject({ info: JSON.parse(made.info).infotexts[0], items: { parameters: expect.stringContaining('read back') } });
  expect((await post('/sdapi/v1/png-info', { image: 'AAAA' })).status).toBe(422);
});

test('interrogate says that it is not supported', async () => {
  expect((await post('/sdapi/v1/interrogate', { image: '' })).json()).toMatchObject({ error: 'not_supported', detail: expect.stringContaining('interrogate') });
});

test('all lists that clients ask for at the start are there', async () => {
  const lists = [
    'samplers',
    'schedulers',
    'upscalers',
    'latent-upscale-modes',
    'sd-models',
    'sd-vae',
    'sd-modules',
    'loras',
    'hypernetworks',
    'face-restorers',
    'prompt-styles',
  ];
  for (const list of lists) expect([list, Array.isArray((await get(`/sdapi/v1/${list}`)).json())]).toEqual([list, true]);
  expect((await get('/sdapi/v1/embeddings')).json()).toEqual({ loaded: {}, skipped: {} });
  expect((await get('/sdapi/v1/scripts')).json()).toEqual({ txt2img: [], img2img: [] });
  expect((await get('/queue/status')).json()).toEqual({});
  const [model] = (await get('/sdapi/v1/sd-models')).json() as unknown as { title: string; hash: string; sha256: string; model_name: string }[];
  const options = (await get('/sdapi/v1/options')).json();
  expect(model?.title).toBe(`${model?.model_name} [${model?.sha256.slice(0, 10)}]`);
  expect(options).toMatchObject({ sd_model_checkpoint: expect.stringContaining('['), samples_format: 'png' });
  // Open WebUI sends the whole object back
  expect((await post('/sdapi/v1/options', { ...options, made_up: 1 })).status).toBe(200);
});

test('progress of one request by its id; interrupt ends that one only and answers it with what is done', async () => {
  const idle = (await get('/sdapi/v1/progress')).json();
  expect(idle).toMatchObject({ progress: 0, state: { job_count: 0 } });
  await queue('pause');
  const small = { width: 256, height: 256, steps: 20 };
  const one = post('/sdapi/v1/txt2img', { ...small, prompt: 'one', force_task_id: 'task-1' });
  const other = post('/sdapi/v1/txt2img', { ...small, prompt: 'other', force_task_id: 'task-2' });
  await expect.poll(async () => (await get('/sdapi/v1/progress?id=task-2')).json()).toMatchObject({ state: { job: 'task-2', job_count: 1 } });
  await expect.poll(async () => (await get('/sdapi/v1/progress?id=task-1')).json()).toMatchObject({ state: { job: 'task-1', job_count: 1 } });
  await expect.poll(async () => (await get('/api/queue')).json()).toMatchObject({ waiting: 2 });
  expect((await ask(server.port, '/sdapi/v1/interrupt?id=task-1', { method: 'POST' })).status).toBe(200);
  const interrupted = await one;
  expect([interrupted.status, interrupted.json()['images']]).toEqual([200, []]);
  expect(JSON.parse(String(interrupted.json()['info']))).toMatchObject({ interrupted: true });
  expect((await get('/api/queue')).json()).toMatchObject({ waiting: 1 });
  await queue('resume');
  expect((await other).json()['images']).toHaveLength(1);
});

test.each([
  ['no body, no type', {}],
  ['JSON without a body', { headers: json }],
  ['an object', { headers: json, body: '{}' }],
])('interrupt with %s', async (_, question) => {
  const answer = await ask(server.port, '/sdapi/v1/interrupt', { method: 'POST', ...question });
  expect([answer.status, answer.json()]).toEqual([200, {}]);
});

test('interrupt never touches a job of another door', async () => {
  await queue('pause');
  const elsewhere = post('/v1/images/generations', { prompt: 'elsewhere', size: '256x256', steps: 2 });
  await expect.poll(async () => (await get('/api/queue')).json()).toMatchObject({ waiting: 1 });
  await ask(server.port, '/sdapi/v1/interrupt', { method: 'POST' });
  expect((await get('/api/queue')).json()).toMatchObject({ waiting: 1 });
  await queue('resume');
  expect((await elsewhere).status).toBe(200);
});

test.for<[body: unknown, field: string]>([
  [{ prompt: 'a', width: 'banana' }, 'width'],
  [{ prompt: 'a', width: 64 }, 'width'],
  [{}, 'prompt'],
  [{ prompt: '' }, 'prompt'],
  [{ prompt: 'a <lora:style:0.8>' }, 'loras'],
  [{ prompt: '<lora:style:0.8>' }, 'prompt'],
  [{ prompt: 'a', lora: [{ path: '/x/style.safetensors' }] }, 'loras'],
  [{ prompt: 'a', batch_size: 9, n_iter: 9 }, 'batch_size'],
])('%j is refused with 422 and the field', async ([body, field]) => {
  const answer = await post('/sdapi/v1/txt2img', body);
  expect([answer.status, answer.json()]).toEqual([422, { detail: [{ loc: ['body', field], msg: expect.any(String), type: expect.any(String) }] }]);
});

test('a deeply nested field of no meaning is refused by this door and ignored by the other', async () => {
  const nested = `"extra":${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  const send = (path: string): Promise<Answer> =>
    ask(server.port, path, { method: 'POST', headers: json, body: `{"prompt":"nested","size":"256x256","steps":2,"width":256,"height":256,${nested}}` });
  expect((await send('/sdapi/v1/txt2img')).json()).toMatchObject({ error: 'bad_message' });
  expect((await send('/v1/images/generations')).status).toBe(200);
});

test('errors made before a handler have the shape too; Basic authentication with any user', async () => {
  const keyed = await startStudioServer({ requireKey: true });
  try {
    const refused = await ask(keyed.port, '/sdapi/v1/options');
    expect([refused.status, refused.headers['www-authenticate'], refused.json()]).toEqual([
      401,
      'Basic realm="Z-Image-Turbo Studio"',
      expect.objectContaining({ detail: expect.any(String), errors: expect.any(String) }),
    ]);
    const basic = (user: string): Record<string, string> => ({ authorization: `Basic ${Buffer.from(`${user}:${keyed.accessKey.text()}`).toString('base64')}` });
    for (const user of ['me', '']) expect((await ask(keyed.port, '/sdapi/v1/options', { headers: basic(user) })).status).toBe(200);
    const wrong = { authorization: `Basic ${Buffer.from('me:wrong').toString('base64')}` };
    expect((await ask(keyed.port, '/sdapi/v1/options', { headers: wrong })).status).toBe(401);
    const unknown = await ask(keyed.port, '/sdapi/v1/nothing', { headers: basic('me') });
    expect([unknown.status, unknown.json()['detail']]).toEqual([404, expect.any(String)]);
    const broken = await ask(keyed.port, '/sdapi/v1/txt2img', { method: 'POST', headers: { ...json, ...basic('me') }, body: '{bad' });
    expect([broken.status, broken.json()]).toEqual([400, expect.objectContaining({ error: 'bad_json', detail: expect.any(String) })]);
  } finally {
    await keyed.close();
  }
});
