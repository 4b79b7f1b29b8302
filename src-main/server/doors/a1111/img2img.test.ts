import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Answer, ask } from '../../../../tests/doubles/ask.ts';
import { StudioProcess } from '../../../../tests/support/studio-process.ts';

const json = { 'content-type': 'application/json' };
let server: StudioProcess;
/** 264 x 256: GIMP sends sides that divide by 8. */
let image: string;
/** White in its left half. */
let mask: string;
/** Opaque in its left half. */
let opaque: string;
let small: string;

beforeAll(async () => {
  server = await StudioProcess.start({ engine: { stepMs: 10 } });
  const canvas = (width: number, channels: 3 | 4, background: string | { r: number; g: number; b: number; alpha: number }) =>
    sharp({ create: { width, height: 256, channels, background } });
  const half = { input: { create: { width: 132, height: 256, channels: 3 as const, background: 'white' } }, left: 0, top: 0 };
  const base64 = async (made: Sharp): Promise<string> => (await made.png().toBuffer()).toString('base64');
  image = await base64(canvas(264, 3, 'red'));
  mask = await base64(canvas(264, 3, 'black').composite([half]));
  opaque = await base64(canvas(264, 4, { r: 0, g: 0, b: 0, alpha: 0 }).composite([half]));
  small = await base64(canvas(64, 3, 'red'));
});
afterAll(() => server.dispose());

const post = (path: string, body: unknown): Promise<Answer> => ask(server.port, path, { method: 'POST', headers: json, body: JSON.stringify(body) });
const uri = (base64: string): string => `data:image/png;base64,${base64}`;

interface Job {
  task_type: string;
  params: Record<string, unknown>;
}
async function newestJob(): Promise<Job> {
  return ((await ask(server.port, '/api/jobs?limit=1')).json()['jobs'] as Job[])[0] as Job;
}
async function sizeOf(base64: string | undefined): Promise<string> {
  const { width, height } = await sharp(Buffer.from(base64 ?? '', 'base64')).metadata();
  return `${width}x${height}`;
}

const size = { width: 264, height: 256 };
const common = { prompt: 'a red fox', negative_prompt: '', ...size, steps: 20, cfg_scale: 7, seed: -1, batch_size: 1, denoising_strength: 0.5 };
/** The bodies that clients send, written from their sources. */
const clients: Record<string, () => object> = {
  webuiapi: () => ({
    ...common,
    init_images: [uri(image)],
    resize_mode: 0,
    mask: null,
    mask_blur: 4,
    inpainting_fill: 0,
    inpaint_full_res: true,
    sampler_index: 'Euler a',
  }),
  GIMP: () => ({ ...common, init_images: [image], sampler_index: 'Euler', resize_mode: 1, inpainting_mask_invert: 0 }),
  Krita: () => ({ ...common, init_images: [uri(image)], sampler_name: 'Euler', resize_mode: 2, include_init_images: false, styles: [], override_settings: {} }),
  SillyTavern: () => ({ ...common, init_images: [image], url: 'http://localhost:8004', auth: '', save_images: true }),
};

test.for(Object.entries(clients))('the request of %s becomes an image of the asked size', async ([, body]) => {
  const answer = await post('/sdapi/v1/img2img', body());
  expect([answer.status, answer.status === 200 ? '' : answer.body.toString()]).toEqual([200, '']);
  const { images, info, parameters } = answer.json() as { images: string[]; info: string; parameters: object };
  expect(await sizeOf(images[0])).toBe('264x256');
  expect(parameters).toMatchObject({ prompt: 'a red fox', init_images: null, mask: null });
  expect(JSON.parse(info)).toMatchObject({ width: 264, denoising_strength: 0.5 });
  expect(await newestJob()).toMatchObject({ task_type: 'image_to_image', params: { strength: 0.5, width: 272, height: 256 } });
});

test.for<[what: string, fields: () => object, left: number]>([
  ['white', () => ({ mask: uri(mask) }), 255],
  ['black, inverted', () => ({ mask, inpainting_mask_invert: 1 }), 0],
  ['what is opaque', () => ({ mask: opaque }), 255],
  ['what is transparent, inverted', () => ({ mask: opaque, inpainting_mask_invert: true }), 0],
])('a mask repaints %s', async ([, fields, left]) => {
  const answer = await post('/sdapi/v1/img2img', { ...common, init_images: [image], ...fields() });
  expect(answer.status).toBe(200);
  const { task_type, params } = await newestJob();
  expect([task_type, params['strength'], params['feather']]).toEqual(['inpaint', 1, 4]);
  const kept = sharp((await ask(server.port, `/api/uploads/${params['mask']}/image`)).body);
  const pixel = async (x: number): Promise<number | undefined> => (await kept.clone().extract({ left: x, top: 9, width: 1, height: 1 }).raw().toBuffer())[0];
  expect([await pixel(9), await pixel(250), await pixel(271)]).toEqual([left, 255 - left, 255 - left]);
});

test.for<[fill: number | undefined, strength: number]>([
  [undefined, 1],
  [0, 1],
  [1, 0.5],
  [2, 1],
  [3, 1],
])('inpainting_fill %s begins with a strength of %s', async ([inpainting_fill, strength]) => {
  await post('/sdapi/v1/img2img', { ...common, init_images: [image], mask, mask_blur: 0, inpainting_fill });
  expect((await newestJob()).params).toMatchObject({ strength, feather: 0 });
});

test.for<[path: string, body: () => object, field: string]>([
  ['img2img', () => common, 'init_images'],
  ['img2img', () => ({ ...common, init_images: [] }), 'init_images'],
  ['img2img', () => ({ ...common, init_images: [image, image] }), 'init_images'],
  ['img2img', () => ({ ...common, init_images: [image], denoising_strength: 0 }), 'denoising_strength'],
  ['img2img', () => ({ ...common, init_images: [image], resize_mode: 4 }), 'resize_mode'],
  ['img2img', () => ({ ...common, init_images: [image], mask: small }), 'mask'],
  ['img2img', () => ({ ...common, init_images: [image], mask: image }), 'mask'],
  ['extra-single-image', () => ({}), 'image'],
  ['extra-single-image', () => ({ image: small, upscaling_resize: 9 }), 'upscaling_resize'],
  ['extra-batch-images', () => ({ imageList: [] }), 'imageList'],
])('%s is refused with 422 and the field', async ([path, body, field]) => {
  const answer = await post(`/sdapi/v1/${path}`, body());
  expect([answer.status, answer.json()]).toEqual([422, { detail: [{ loc: ['body', field], msg: expect.any(String), type: expect.any(String) }] }]);
});

test.each([
  ['img2img', { prompt: 'x', init_images: ['AAAA'] }],
  ['img2img', { prompt: 'x', init_images: [''] }],
  ['extra-single-image', { image: 'http://127.0.0.1/x.png' }],
  ['extra-batch-images', { imageList: [{ data: 'AAAA' }] }],
])('%s of what is no image is refused', async (path, body) => {
  const answer = await post(`/sdapi/v1/${path}`, body);
  expect([answer.status, answer.json()['detail']]).toEqual([422, expect.any(String)]);
});

test.for<[options: object, size: string, scale: number]>([
  [{}, '128x512', 2],
  [{ upscaling_resize: 4, upscaler_1: 'R-ESRGAN 4x+' }, '256x1024', 4],
  [{ upscaling_resize: 3 }, '192x768', 4],
  [{ resize_mode: 1, upscaling_resize_w: 100, upscaling_resize_h: 400 }, '100x400', 2],
])('extra-single-image with %j makes %s', async ([options, made, scale]) => {
  // an image of its own, since the same one would join an earlier job
  const background = { r: Object.keys(options).length, g: Number(made.split('x')[0]) % 256, b: 0 };
  const own = await sharp({ create: { width: 64, height: 256, channels: 3, background } })
    .png()
    .toBuffer();
  const answer = await post('/sdapi/v1/extra-single-image', { image: uri(own.toString('base64')), ...options });
  expect(answer.status).toBe(200);
  expect([await sizeOf(String(answer.json()['image'])), answer.json()['html_info']]).toEqual([made, '']);
  expect(await newestJob()).toMatchObject({ task_type: 'upscale', params: { scale } });
});

test('extra-batch-images answers the images in their order, the same one twice too', async () => {
  const answer = await post('/sdapi/v1/extra-batch-images', {
    imageList: [
      { data: small, name: 'a.png' },
      { data: uri(image), name: 'b.png' },
      { data: small, name: 'c.png' },
    ],
  });
  const images = answer.json()['images'] as string[];
  expect(await Promise.all(images.map(sizeOf))).toEqual(['128x512', '528x512', '128x512']);
});

test('interrupt answers the waiting img2img with what is done; a client that goes away cancels its upscale', async () => {
  const waiting = async (): Promise<number> => Number((await ask(server.port, '/api/queue')).json()['waiting']);
  await post('/api/queue', { action: 'pause' });
  const interrupted = post('/sdapi/v1/img2img', { ...common, prompt: 'interrupted', init_images: [image] });
  await expect.poll(waiting).toBe(1);
  expect((await post('/sdapi/v1/interrupt', {})).status).toBe(200);
  expect((await interrupted).json()).toMatchObject({ images: [] });
  const gone = new AbortController();
  const body = JSON.stringify({ image: mask, upscaling_resize: 4 });
  const asked = fetch(`http://127.0.0.1:${server.port}/sdapi/v1/extra-single-image`, { method: 'POST', headers: json, body, signal: gone.signal }).catch(
    () => null,
  );
  await expect.poll(waiting).toBe(1);
  gone.abort();
  await asked;
  await expect.poll(waiting).toBe(0);
  await post('/api/queue', { action: 'resume' });
});
