import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '#main/config/config.ts';
import { encodePng, type PngText } from '#main/lib/png.ts';
import { readPngTexts } from '#main/lib/png-texts.ts';
import { decodePng } from '#main/lib/read-png.ts';
import { createLog } from '#main/server/log.ts';
import { RECIPE_KEYWORD } from '#shared/domain/recipe.ts';
import { type Verification, verificationSchema } from '#shared/domain/verification.ts';
import { receiptSchema } from '#shared/protocol/http.ts';
import { type Answer, ask } from '../../tests/doubles/ask.ts';
import { spawnFakeEngine } from '../../tests/fakes/fake-engine.ts';
import { SocketClient } from '../../tests/support/socket-client.ts';
import { type Studio, startStudio } from './start-studio.ts';

const dir = mkdtempSync(join(tmpdir(), 'verify-'));
const outputsDir = join(dir, 'outputs');
let studio: Studio;
let original: string;
let upscaled: string;

beforeAll(async () => {
  const config = loadConfig(['--host', '127.0.0.1', '--port', '0', '--data-dir', join(dir, 'data'), '--outputs-dir', outputsDir], {});
  studio = await startStudio({ config, spawn: spawnFakeEngine({ stepMs: 1 }), log: createLog('silent') });
  const client = await SocketClient.open(`http://127.0.0.1:${studio.port}`, 'a');
  const made = await client.make('a cat & a <dog>', { steps: 2, seed: 5 });
  if (made.type === 'error' || made.result?.upscaled_filename === undefined) throw new Error(`not made: ${JSON.stringify(made)}`);
  ({ filename: original, upscaled_filename: upscaled } = { ...made.result, upscaled_filename: made.result.upscaled_filename });
  client.close();
});
afterAll(async () => {
  await studio.close('now');
  rmSync(dir, { recursive: true, force: true });
});

const get = (path: string): Promise<Answer> => ask(studio.port, path);
const image = (name: string): Buffer => readFileSync(join(outputsDir, name));

async function verify(body: Buffer | Uint8Array, repeat = false): Promise<Verification> {
  const headers = { 'content-type': 'image/png' };
  const answer = await ask(studio.port, `/api/verify?repeat=${repeat}`, { method: 'PUT', headers, body: Buffer.from(body) });
  return verificationSchema.parse(answer.json());
}

async function pngOf(name: string, change: { pixel?: boolean; texts?: (text: PngText) => PngText | null }): Promise<Uint8Array> {
  const pixels = await decodePng(join(outputsDir, name));
  if (change.pixel === true) pixels.data[1000] = (pixels.data[1000] ?? 0) ^ 1;
  return encodePng(
    pixels,
    readPngTexts(image(name)).flatMap((text) => (change.texts ?? ((same) => same))(text) ?? []),
  );
}

test('the receipt of the upscaled image leads back to its original', async () => {
  const [first, second] = await Promise.all([original, upscaled].map(async (name) => receiptSchema.parse((await get(`/api/images/${name}/receipt`)).json())));
  expect(first).toMatchObject({ recipe: { version: 2, role: 'original', original_sha256: null, made_on: { device: 'cpu', provider: 'cpu' } }, original: null });
  const sha256 = first?.recipe.pixels?.sha256;
  expect(second?.original).toEqual({ filename: original, pixels_sha256: sha256, is_unchanged: true });
  expect((await get('/api/images/20260101-none-12345678.png/receipt')).status).toBe(404);
});

test('the marks number the content by its pixels, not by the prompt', async () => {
  for (const name of [original, upscaled]) {
    const { recipe } = await verify(image(name));
    const { xmpAsString = '' } = await sharp(image(name)).metadata();
    expect(xmpAsString).toContain(`"ProduceID":"${recipe?.pixels?.sha256}"`);
    expect(xmpAsString).not.toContain(recipe?.job_id);
  }
});

test('both images are intact, made here and repeated identically', async () => {
  for (const name of [original, upscaled]) {
    expect(await verify(image(name), true)).toMatchObject({
      ...{ format: 'png', pixels: 'intact', made_here: { filename: name }, marked: true, obstacles: [], repeat: { verdict: 'identical' } },
    });
  }
});

test('one flipped pixel', async () => {
  const changed = await verify(await pngOf(original, { pixel: true }), true);
  expect(changed).toMatchObject({ pixels: 'changed', made_here: null, repeat: { verdict: 'differs', max_levels: 1 } });
  if (changed.repeat?.verdict !== 'differs') throw new Error('it differs');
  // one of 256 x 256 x 3 values is one level off
  expect(changed.repeat.psnr_db).toBeCloseTo(10 * Math.log10(255 * 255 * 256 * 256 * 3), 6);
  expect(changed.repeat.because.join()).toContain('changed after it was made');
});

test('a re-encoded PNG without metadata is known by its pixels; a JPEG is a changed copy', async () => {
  const bare = await sharp(image(original)).png({ compressionLevel: 9 }).toBuffer();
  expect(await verify(bare, true)).toMatchObject({ pixels: 'intact', marked: false, made_here: { filename: original }, repeat: { verdict: 'identical' } });
  const jpeg = (await get(`/api/image/${original}?format=jpeg&quality=80`)).body;
  expect(await verify(jpeg)).toMatchObject({
    format: 'jpeg',
    pixels: 'changed',
    marked: true,
    made_here: null,
    recipe: { params: { prompt: 'a cat & a <dog>' } },
  });
});

test('a missing model and a foreign image say why they cannot be repeated', async () => {
  const gone = await pngOf(original, {
    pixel: true,
    texts: (text) =>
      text.keyword === RECIPE_KEYWORD ? { ...text, text: JSON.stringify({ ...JSON.parse(text.text), checkpoint: { name: 'lost', identity: 'f00' } }) } : text,
  });
  const obstacles = [expect.stringContaining('The checkpoint lost (f00) is not installed')];
  expect(await verify(gone, true)).toMatchObject({ pixels: 'changed', obstacles, repeat: { verdict: 'cannot', because: obstacles } });
  const foreign = await sharp({ create: { width: 8, height: 8, channels: 4, background: '#ff000080' } })
    .png()
    .toBuffer();
  expect(await verify(foreign, true)).toMatchObject({ pixels: 'no_recipe', recipe: null, made_here: null, marked: false, repeat: { verdict: 'cannot' } });
  const answer = await ask(studio.port, '/api/verify', { method: 'PUT', headers: { 'content-type': 'image/png' }, body: Buffer.from('no image') });
  expect([answer.status, answer.json()['code']]).toEqual([422, 'picture_damaged']);
});

test('a recipe of version 1, which records no hash, is repeated identically', async () => {
  const old = await pngOf(original, {
    texts: (text) => {
      if (text.keyword !== RECIPE_KEYWORD) return text;
      const { made_on, pixels, original_sha256, ...recipe } = JSON.parse(text.text);
      return { ...text, text: JSON.stringify({ ...recipe, version: 1 }) };
    },
  });
  expect(await verify(old, true)).toMatchObject({ pixels: 'intact', recipe: { version: 1, pixels: null }, repeat: { verdict: 'identical' } });
});

test('the name of a copy says what it lacks, and no file contains a key, a path or a name of this machine', async () => {
  const files = new Map<string, Buffer>([original, upscaled].map((name) => [name, image(name)]));
  for (const query of ['w=768', 'format=jpeg', 'format=webp', 'metadata=marks', 'metadata=none', 'format=webp&metadata=none']) {
    const { headers, body } = await get(`/api/image/${upscaled}?${query}`);
    const name = String(/filename="([^"]+)"/.exec(String(headers['content-disposition']))?.[1]);
    // a thumbnail and a copy have the same name
    files.set(query === 'w=768' ? query : name, body);
  }
  const base = upscaled.replace('.png', '');
  const copies = ['.jpg', '-no-prompt.png', '-no-metadata.png', '-no-metadata.webp'].map((end) => base + end);
  expect([...files.keys()]).toEqual(expect.arrayContaining(copies));
  const secrets = [studio.accessKey.text(), dir, outputsDir, process.cwd(), homedir(), hostname()].filter((secret) => secret.length > 3);
  for (const [name, bytes] of files) for (const secret of secrets) expect(bytes.includes(secret), `${name} contains ${secret}`).toBe(false);
  for (const name of copies.slice(1)) expect(files.get(name)?.includes('<dog>'), name).toBe(false);
});

test('images made from an image are repeated while it is here, and say what is missing when it is not', async () => {
  const upload = await photo(64);
  const headers = { 'content-type': 'image/png' };
  const { id } = (await ask(studio.port, '/api/uploads', { method: 'PUT', headers, body: upload })).json();
  const mask = await sharp({ create: { width: 256, height: 256, channels: 3, background: '#fff' } })
    .png()
    .toBuffer();
  const { id: maskId } = (await ask(studio.port, '/api/uploads', { method: 'PUT', headers, body: mask })).json();
  const size = { width: 256, height: 256, steps: 3 };
  const made = [
    await make('image_to_image', { prompt: 'from a photo', image: id, ...size }),
    await make('image_to_image', { prompt: 'from an image made here', image: original, ...size }),
    await make('inpaint', { prompt: 'repainted', image: original, mask: maskId, ...size }),
    await make('upscale', { image: id, scale: 2 }),
  ];
  for (const name of made) expect(await verify(image(name), true), name).toMatchObject({ pixels: 'intact', obstacles: [], repeat: { verdict: 'identical' } });

  rmSync(join(dir, 'data/uploads', `${id}.png`));
  const obstacles = [expect.stringContaining(`SHA-256 ${id}`)];
  for (const name of [made[0], made[3]]) {
    expect(await verify(image(String(name)), true)).toMatchObject({ pixels: 'intact', obstacles, repeat: { verdict: 'cannot', because: obstacles } });
  }
  // another image does not take its place
  await ask(studio.port, '/api/uploads', { method: 'PUT', headers, body: await photo(65) });
  expect(await verify(image(String(made[0])), true)).toMatchObject({ repeat: { verdict: 'cannot' } });
  await ask(studio.port, '/api/uploads', { method: 'PUT', headers, body: upload });
  expect(await verify(image(String(made[0])), true)).toMatchObject({ obstacles: [], repeat: { verdict: 'identical' } });
});

function photo(seed: number): Promise<Buffer> {
  const raw = { width: 256, height: 256, channels: 3 as const };
  return sharp(Buffer.alloc(256 * 256 * 3, seed), { raw })
    .png()
    .toBuffer();
}

/** The name of the finished image. */
async function make(task_type: string, params: object): Promise<string> {
  const client = await SocketClient.open(`http://127.0.0.1:${studio.port}`, 'b');
  const heard = await client.converse([{ type: 'create_job', request_id: 'r', task_type, params }]);
  const job = heard.find((message) => message.type === 'job_status');
  if (job === undefined) throw new Error(`refused: ${JSON.stringify(heard)}`);
  const isDone = (message: { type: string; status?: string }) => message.type === 'job_status' && message.status === 'completed';
  const done = heard.find(isDone) ?? (await client.status(job.job_id, ['completed', 'failed']));
  client.close();
  if (done.type !== 'job_status' || done.result === undefined) throw new Error(`not made: ${JSON.stringify(done)}`);
  return done.result.filename;
}

test('without the setting, new images have no marks', async () => {
  await studio.jobs.changeSettings({ mark_images: false });
  const client = await SocketClient.open(`http://127.0.0.1:${studio.port}`, 'a');
  const made = await client.make('a cat', { steps: 2 });
  client.close();
  await studio.jobs.changeSettings({ mark_images: true });
  if (made.type === 'error' || made.result === undefined) throw new Error('not made');
  expect(await verify(image(made.result.filename))).toMatchObject({ pixels: 'intact', marked: false });
  expect(await verify((await get(`/api/image/${made.result.filename}?metadata=marks`)).body)).toMatchObject({ marked: true });
});
