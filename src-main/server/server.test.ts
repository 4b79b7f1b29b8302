import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodePng } from '#main/lib/png.ts';
import { RECIPE_KEYWORD } from '#shared/domain/recipe.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { httpErrorSchema, infoSchema, modelsSchema } from '#shared/protocol/http.ts';
import { exchange } from '../../tests/contract/raw-http.ts';
import { type Answer, ask, type Question } from '../../tests/doubles/ask.ts';
import { buildAnother, type StudioServer, startStudioServer } from '../../tests/doubles/studio-server.ts';
import { listen } from './listen.ts';

const NAME = '20260204-a-lighthouse-3f1c9ab2.png';
const CHINESE = `20260204-${'猫'.repeat(30)}-3f1c9ab2.png`;
const JOB = 'd'.repeat(64);

let server: StudioServer;
let png: Buffer;

beforeAll(async () => {
  png = await sharp({ create: { width: 640, height: 320, channels: 3, background: { r: 200, g: 40, b: 90 } } })
    .png()
    .toBuffer();
  server = await startStudioServer({
    prepare: async (folder) => {
      await writeFile(join(folder, 'outputs', NAME), png);
      await writeFile(join(folder, 'outputs', CHINESE), png);
      await writeFile(join(folder, 'outputs', '20260204-broken-3f1c9ab2.png'), png.subarray(0, 60));
      await writeFile(join(folder, 'secret.png'), 'secret');
      await symlink(join(folder, 'secret.png'), join(folder, 'outputs', 'link.txt'));
      await mkdir(join(folder, 'renderer', 'assets'), { recursive: true });
      await writeFile(join(folder, 'renderer', 'index.html'), '<!doctype html><meta property="csp-nonce" nonce="__CSP_NONCE__"><title>window</title>');
      await writeFile(join(folder, 'renderer', 'assets', 'index-abc123.js'), 'export {};');
      await writeFile(join(folder, 'renderer', 'favicon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
    },
  });
});
afterAll(() => server.close());

const get = (path: string, headers: Record<string, string> = {}): Promise<Answer> => ask(server.port, path, { headers });
const sendRaw = (method: string, path: string, body: string): Promise<Answer> =>
  ask(server.port, path, { method, headers: { 'content-type': 'application/json' }, body });
const sendJson = (method: string, path: string, body: unknown): Promise<Answer> =>
  ask(server.port, path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

test('health is exactly what the original says', async () => {
  const answer = await get('/api/health');
  expect([answer.status, answer.body.toString(), answer.headers['content-type']]).toEqual([200, '{"status":"ok"}', 'application/json; charset=utf-8']);
});

describe('images', () => {
  const path = `/api/image/${NAME}`;

  test('the bytes, their type, name and age', async () => {
    const answer = await get(path);
    expect(answer.status).toBe(200);
    expect(answer.body.equals(png)).toBe(true);
    expect(answer.headers).toMatchObject({
      'content-type': 'image/png',
      'content-length': String(png.length),
      'content-disposition': `inline; filename="${NAME}"`,
      'cross-origin-resource-policy': 'same-origin',
      'accept-ranges': 'bytes',
    });
    expect(answer.headers.etag).toBeTruthy();
    expect(answer.headers['last-modified']).toBeTruthy();
    expect(answer.headers['cache-control']).toBe('private, max-age=86400');
  });

  test('HEAD gives the headers alone', async () => {
    const answer = await ask(server.port, path, { method: 'HEAD' });
    expect([answer.status, answer.body.length, answer.headers['content-length']]).toEqual([200, 0, String(png.length)]);
  });

  test('what the browser has is not sent again', async () => {
    const { headers } = await get(path);
    expect((await get(path, { 'if-none-match': String(headers.etag) })).status).toBe(304);
    expect((await get(path, { 'if-modified-since': String(headers['last-modified']) })).status).toBe(304);
    expect((await get(path, { 'if-none-match': '"other"' })).status).toBe(200);
  });

  test.for<[headers: Record<string, string>, status: number, range?: string]>([
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': '"other", W/ETAG' }, 304],
    [{ 'if-none-match': '"other"' }, 200],
    [{ 'if-none-match': '"other"', 'if-modified-since': 'MODIFIED' }, 200],
    [{ 'if-modified-since': 'MODIFIED' }, 304],
    [{ 'if-modified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' }, 200],
    [{ 'if-modified-since': 'yesterday' }, 200],
    [{ 'if-match': 'ETAG' }, 200],
    [{ 'if-match': '*' }, 200],
    [{ 'if-match': 'W/ETAG' }, 412],
    [{ 'if-match': '"other"' }, 412],
    [{ 'if-unmodified-since': 'MODIFIED' }, 200],
    [{ 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' }, 412],
    [{ range: 'bytes=10-19' }, 206, '10-19'],
    [{ range: 'bytes=0-0' }, 206, '0-0'],
    [{ range: 'BYTES=5-' }, 206, '5-LAST'],
    [{ range: 'bytes=-5' }, 206, 'LAST4-LAST'],
    [{ range: 'bytes=-9999999' }, 206, '0-LAST'],
    [{ range: 'bytes=10-9999999' }, 206, '10-LAST'],
    [{ range: 'bytes=9999999-, 0-3' }, 206, '0-3'],
    [{ range: 'bytes=9999999-' }, 416, '*'],
    [{ range: 'bytes=-0' }, 416, '*'],
    [{ range: 'bytes=19-10' }, 200],
    [{ range: 'bytes=a-b' }, 200],
    [{ range: 'bytes=-' }, 200],
    [{ range: 'pages=1-2' }, 200],
    [{ range: 'bytes=0-9,5-20' }, 200],
    [{ range: 'bytes=10-19', 'if-range': 'ETAG' }, 206, '10-19'],
    [{ range: 'bytes=10-19', 'if-range': 'MODIFIED' }, 206, '10-19'],
    [{ range: 'bytes=10-19', 'if-range': 'W/ETAG' }, 200],
    [{ range: 'bytes=10-19', 'if-range': '"other"' }, 200],
    [{ range: 'bytes=10-19', 'if-range': 'Thu, 01 Jan 1970 00:00:00 GMT' }, 200],
    [{ range: 'bytes=10-19', 'if-none-match': 'ETAG' }, 304],
  ])('RFC 9110: %j is answered with %d %s', async ([headers, status, range]) => {
    const { headers: known } = await get(path);
    const last = png.length - 1;
    const filled = Object.entries(headers).map(([name, value]) => [
      name,
      value.replace('ETAG', String(known.etag)).replace('MODIFIED', String(known['last-modified'])),
    ]);
    const answer = await get(path, Object.fromEntries(filled));
    const expected = range?.replace('LAST4', String(last - 4)).replace('LAST', String(last));
    expect([answer.status, answer.headers['content-range']]).toEqual([status, expected && `bytes ${expected}/${png.length}`]);
    if (status === 416) expect(answer.json()['code']).toBe('range_not_satisfiable');
    if (status === 412) expect(answer.json()['code']).toBe('precondition_failed');
    if (status === 304) expect([answer.body.length, answer.headers.etag]).toEqual([0, known.etag]);
    if (status === 200) expect(answer.body.equals(png)).toBe(true);
    const [start, end] = (expected ?? '').split('-').map(Number);
    if (status === 206) expect(answer.body.equals(png.subarray(start, Number(end) + 1))).toBe(true);
  });

  test('several ranges come as parts, each with its place', async () => {
    const answer = await get(path, { range: 'bytes=0-3, 10-12' });
    const boundary = /^multipart\/byteranges; boundary=(.+)$/.exec(String(answer.headers['content-type']))?.[1];
    const part = (from: number, to: number) =>
      `--${boundary}\r\nContent-Type: image/png\r\nContent-Range: bytes ${from}-${to}/${png.length}\r\n\r\n${png.subarray(from, to + 1).toString('latin1')}\r\n`;
    expect([answer.status, answer.body.toString('latin1')]).toEqual([206, `\r\n${part(0, 3)}${part(10, 12)}--${boundary}--\r\n`]);
  });

  test('a range of a HEAD request is ignored', async () => {
    const answer = await ask(server.port, path, { method: 'HEAD', headers: { range: 'bytes=0-3' } });
    expect([answer.status, answer.headers['content-length'], answer.headers['content-range']]).toEqual([200, String(png.length), undefined]);
  });

  test('a name of 30 letters of any script', async () => {
    const answer = await get(`/api/image/${encodeURIComponent(CHINESE)}`);
    expect(answer.status).toBe(200);
    expect(answer.headers['content-disposition']).toContain(`filename*=UTF-8''20260204-%E7%8C%AB`);
  });

  test('?w= makes a thumbnail, once', async () => {
    const small = await get(`${path}?w=256`);
    expect([small.status, small.headers['content-type']]).toEqual([200, 'image/webp']);
    expect(await sharp(small.body).metadata()).toMatchObject({ format: 'webp', width: 256, height: 128 });
    const again = await get(`${path}?w=256`, { 'if-none-match': String(small.headers.etag) });
    expect(again.status).toBe(304);
    const wide = await get(`${path}?w=1024`);
    expect((await sharp(wide.body).metadata()).width).toBe(640);
  });

  test('a permanently deleted image takes its thumbnails with it', async () => {
    const other = `/api/image/${encodeURIComponent(CHINESE)}`;
    for (const address of [`${path}?w=64`, `${path}?w=128`, `${other}?w=64`]) expect((await get(address)).status).toBe(200);
    const thumbnails = () => readdirSync(join(server.dataDir, 'thumbnails')).length;
    const before = thumbnails();
    server.jobs.tellDeleted([CHINESE]);
    await expect.poll(thumbnails).toBe(before - 1);
  });

  test.for(['?w=255', '?w=0', '?w=-64', '?w=99999999999999999999', '?w=abc', '?w=', '?w=64&w=128', '?w=64.0001'])(
    '%s is refused with the widths allowed',
    async (query) => {
      const answer = await get(`${path}${query}`);
      expect([answer.status, answer.json()['code'], answer.json()['field']]).toEqual([400, 'bad_param', 'w']);
      expect(answer.json()['message']).toContain('1024');
    },
  );

  test('an image that cannot be decoded has no thumbnail', async () => {
    const answer = await get('/api/image/20260204-broken-3f1c9ab2.png?w=64');
    expect([answer.status, answer.json()['code']]).toEqual([422, 'picture_damaged']);
  });

  test.for([
    'nothing.png',
    'link.txt',
    '..%2Fsecret.png',
    '..%2f..%2fetc%2fpasswd',
    '%2e%2e%2fsecret.png',
    '..%5Csecret.png',
    '%2Fetc%2Fpasswd',
    '.bin',
    '%00.png',
    `${NAME}%00`,
    `${NAME}%20`,
    '20260204-a-lighthouse-3f1c9ab2.PNG.png',
    'CON.png',
    '%F0%9F%90%88.png',
    'x'.repeat(900),
  ])('there is no image %s', async (name) => {
    const answer = await get(`/api/image/${name}`);
    expect([answer.status, answer.json()['code']]).toEqual([404, 'unknown_image']);
    expect(answer.body.toString()).not.toContain('secret\n');
  });

  test.for([
    ['/api/image/%c0%ae%c0%ae/secret.png', 400],
    ['/api/image/%', 400],
    ['/api/image/%zz', 400],
    ['/api/image/../../secret.png', 404],
    ['/api/image/a/b.png', 404],
    ['/api/image//etc/passwd', 404],
    ['/api/image/', 404],
    [`/api/image/${'x'.repeat(2000)}`, 400],
  ] as const)('%s is answered with %d', async ([path, status]) => {
    const answer = await get(path);
    expect(answer.status).toBe(status);
    httpErrorSchema.parse(answer.json());
  });
});

describe('jobs, queue, models and info', () => {
  beforeAll(() => {
    const params = { prompt: 'a lighthouse', width: 512, height: 512, steps: 9, guidance_scale: 0, seed: 1, model_type: 'uint4' as const };
    const rest = {
      result: null,
      error: null,
      code: null,
      checkpoint: 'c',
      upscaler: 'u',
      created_at: 1.5,
      finished_at: null,
      clients: [],
      starred: false,
      deleted: false,
      deleted_at: null,
      position: 1,
    };
    server.jobs.records.set(JOB, { job_id: JOB, task_type: 'text_to_image', status: 'pending', params, ...rest });
  });

  test('the history and one of it', async () => {
    expect((await get('/api/jobs?limit=10&starred=false&query=light%20house&before=5')).json()).toMatchObject({ jobs: [{ job_id: JOB }], next: null });
    expect((await get(`/api/jobs/${JOB}`)).json()).toMatchObject({ job_id: JOB, params: { prompt: 'a lighthouse' } });
  });

  test('many jobs at once: each is named as done or failed, and a wrong choice changes nothing', async () => {
    const bulk = async (body: unknown) => (await sendJson('POST', '/api/jobs/bulk', body)).json();
    const unknown = 'e'.repeat(64);
    const failed = [{ job_id: unknown, code: 'unknown_job' }];
    expect(await bulk({ ids: [JOB, unknown, JOB], action: 'star' })).toMatchObject({ done: [JOB], failed });
    expect(server.jobs.get(JOB)).toMatchObject({ starred: true });
    expect(await bulk({ query: { query: 'lighthouse' }, action: 'delete' })).toEqual({ done: [JOB], failed: [] });
    expect(await bulk({ ids: [JOB], action: 'restore' })).toEqual({ done: [JOB], failed: [] });
    for (const wrong of [{}, { ids: [] }, { ids: ['x'] }, { ids: [JOB], query: {} }, { query: { limit: 5 } }, { ids: [JOB], x: 1 }]) {
      expect(await bulk({ ...wrong, action: 'delete' })).toMatchObject({ code: expect.stringMatching(/_param$/) });
    }
    expect(await bulk({ ids: [JOB], action: 'burn' })).toMatchObject({ code: 'bad_param', field: 'action' });
    const most = Array.from({ length: 10_000 }, (_, index) => index.toString(16).padStart(64, '0'));
    expect((await bulk({ ids: most, action: 'restore' }))['failed']).toHaveLength(10_000);
    expect(await bulk({ ids: [...most, JOB], action: 'delete' })).toMatchObject({ code: 'bad_param', field: 'ids' });
    expect(server.jobs.get(JOB)).toMatchObject({ deleted: false });
  });

  test('the images of many jobs are a zip; jobs without an image are left out', async () => {
    const zip = (body: unknown) => sendJson('POST', '/api/jobs/zip', body);
    expect((await zip({ ids: [JOB] })).json()).toMatchObject({ code: 'unknown_image' });
    const record = server.jobs.get(JOB);
    if (record === null) throw new Error('the job is there');
    server.jobs.records.set(JOB, { ...record, status: 'completed', result: { filename: NAME, path: `outputs/${NAME}`, upscaled_filename: CHINESE } });
    const answer = await zip({ ids: [JOB, 'e'.repeat(64)], files: 'all' });
    expect(answer.headers['content-type']).toBe('application/zip');
    expect(answer.headers['content-disposition']).toMatch(/^attachment; filename="zimage-[\dT-]+\.zip"$/);
    expect(answer.body.subarray(0, 4).toString('latin1')).toBe('PK\x03\x04');
    expect(answer.body.indexOf(png)).toBeGreaterThan(0);
    for (const name of [NAME, CHINESE]) expect(answer.body.includes(name)).toBe(true);
    expect((await zip({ query: {}, files: 'original' })).body.includes(CHINESE)).toBe(false);
  });

  test('star, bin, back, and empty the bin', async () => {
    expect((await sendJson('PATCH', `/api/jobs/${JOB}`, { starred: true })).json()).toMatchObject({ starred: true });
    expect((await ask(server.port, `/api/jobs/${JOB}`, { method: 'DELETE' })).json()).toMatchObject({ deleted: true });
    expect((await ask(server.port, `/api/jobs/${JOB}/restore`, { method: 'POST' })).json()).toMatchObject({ deleted: false });
    expect((await ask(server.port, '/api/bin', { method: 'DELETE' })).json()).toEqual({ removed: 0 });
    const removal = () => ask(server.port, `/api/bin/${JOB}`, { method: 'DELETE' });
    expect((await removal()).json()).toMatchObject({ code: 'unknown_job' });
    await ask(server.port, `/api/jobs/${JOB}`, { method: 'DELETE' });
    expect((await removal()).json()).toEqual({ removed: 1 });
    expect((await removal()).json()).toMatchObject({ code: 'unknown_job' });
  });

  test('the queue is paused, and the answer says so', async () => {
    expect((await sendJson('POST', '/api/queue', { action: 'pause' })).json()).toMatchObject({ paused: true });
    expect((await get('/api/queue')).json()).toMatchObject({ paused: true });
    expect((await sendJson('POST', '/api/queue', { action: 'resume' })).json()).toMatchObject({ paused: false });
  });

  test('the models, and which one runs', async () => {
    const models = modelsSchema.parse((await get('/api/models')).json());
    expect(models).toMatchObject({ models: [{ name: 'storybook-uint4', active: true }], limits: { bytes_per_second: null }, cache_dir: '/cache/hub' });
  });

  test('the devices are listed, and probed again on request', async () => {
    const devices = { gpus: [], devices: [], onnxruntime: '1.30.0' };
    expect((await get('/api/devices')).json()).toEqual(devices);
    expect((await ask(server.port, '/api/devices/probe', { method: 'POST' })).json()).toEqual(devices);
  });

  test('a model is added, acted upon and its downloads are limited', async () => {
    expect((await sendJson('POST', '/api/models', { dir: '/a folder' })).json()).toMatchObject({ name: '/a folder' });
    expect((await ask(server.port, '/api/models/storybook-uint4/use', { method: 'POST' })).json()).toMatchObject({ state: 'installed' });
    expect((await sendJson('PUT', '/api/models/limits', { bytes_per_second: 1_000_000 })).json()).toEqual({ bytes_per_second: 1_000_000 });
  });

  test('info has version, device, limits and the origin of the request', async () => {
    const info = infoSchema.parse((await get('/api/info')).json());
    expect(info).toMatchObject({ version: '0.0.0-test', engine: { device: 'cpu', state: 'ready' }, access: { from_this_machine: true, open: false } });
    expect(info.limits.thumbnail_widths).toContain(256);
  });

  test.for<[method: string, path: string, question: Question, status: number, code: string]>([
    ['GET', '/api/jobs?limit=0', {}, 400, 'bad_param'],
    ['GET', '/api/jobs?limit=501', {}, 400, 'bad_param'],
    ['GET', '/api/jobs?limit=ten', {}, 400, 'bad_param'],
    ['GET', '/api/jobs?limit=1e2', {}, 400, 'bad_param'],
    ['GET', '/api/jobs?limit=1&limit=2', {}, 400, 'bad_param'],
    ['GET', '/api/jobs?starred=yes', {}, 400, 'bad_param'],
    ['GET', '/api/jobs?status=done', {}, 400, 'bad_param'],
    ['GET', '/api/jobs?sort=asc', {}, 400, 'unknown_param'],
    ['GET', '/api/jobs?__proto__=1', {}, 400, 'unknown_param'],
    ['POST', '/api/models/storybook-uint4/remove', {}, 409, 'model_busy'],
    ['POST', '/api/models/OWNER%2FNAME/install', {}, 404, 'unknown_model'],
    ['POST', '/api/models/storybook-uint4/explode', {}, 400, 'bad_param'],
    ['POST', '/api/models', { headers: { 'content-type': 'application/json' }, body: '{}' }, 400, 'missing_param'],
    ['POST', '/api/models', { headers: { 'content-type': 'application/json' }, body: '{"dir":"/a","repository":"a/b"}' }, 400, 'bad_param'],
    ['POST', '/api/models', { headers: { 'content-type': 'application/json' }, body: '{"repository":"../b"}' }, 400, 'bad_param'],
    ['PUT', '/api/models/limits', { headers: { 'content-type': 'application/json' }, body: '{"bytes_per_second":1}' }, 400, 'bad_param'],
    ['GET', '/api/jobs/abc', {}, 400, 'bad_param'],
    ['GET', `/api/jobs/${'0'.repeat(64)}`, {}, 404, 'unknown_job'],
    ['PATCH', `/api/jobs/${JOB}`, { body: '{"starred":1}' }, 400, 'bad_param'],
    ['PATCH', `/api/jobs/${JOB}`, { body: '{}' }, 400, 'missing_param'],
    ['PATCH', `/api/jobs/${JOB}`, { body: '{"starred":true,"x":1}' }, 400, 'unknown_param'],
    ['PATCH', `/api/jobs/${JOB}`, { body: '{"starred":true,"__proto__":{}}' }, 400, 'bad_json'],
    ['PATCH', `/api/jobs/${JOB}`, { body: '[]' }, 400, 'bad_message'],
    ['PATCH', `/api/jobs/${JOB}`, { body: '{"starred":' }, 400, 'bad_json'],
    ['PATCH', `/api/jobs/${JOB}`, { body: '' }, 400, 'bad_json'],
    ['PATCH', `/api/jobs/${JOB}`, { body: '{"starred":true}', headers: { 'content-type': 'text/plain' } }, 415, 'unsupported_media_type'],
    ['PATCH', `/api/jobs/${JOB}`, { body: 'starred=true', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 415, 'unsupported_media_type'],
    ['PATCH', `/api/jobs/${JOB}`, { body: '{"starred":true}', headers: { 'content-type': 'image/png' } }, 415, 'unsupported_media_type'],
    ['POST', '/api/queue', { body: JSON.stringify({ action: 'pause', pad: 'x'.repeat(70_000) }) }, 413, 'body_too_large'],
    ['POST', '/api/queue', { body: '{"action":"explode"}' }, 400, 'bad_param'],
    ['POST', '/api/health', { body: '{}' }, 405, 'method_not_allowed'],
    ['DELETE', `/api/image/${NAME}`, {}, 405, 'method_not_allowed'],
    ['PUT', '/', { body: '{}' }, 405, 'method_not_allowed'],
    ['GET', '/api', {}, 404, 'not_found'],
    ['GET', '/API/health', {}, 404, 'not_found'],
    ['GET', '/index.html', {}, 404, 'not_found'],
    ['GET', '/assets/../index.html', {}, 404, 'not_found'],
    ['GET', '/.env', {}, 404, 'not_found'],
    ['GET', '/docs/swagger-ui/index.html', {}, 404, 'not_found'],
    ['GET', '/docs/swagger-ui/../../package.json', {}, 404, 'not_found'],
    ['GET', '/api/ws', {}, 426, 'upgrade_required'],
    ['GET', '/api/ws/', {}, 426, 'upgrade_required'],
    ['TRACE', '/api/health', {}, 405, 'method_not_allowed'],
  ])('%s %s %j is %d %s', async ([method, path, question, status, code]) => {
    const json = question.body === undefined ? {} : { 'content-type': 'application/json' };
    const answer = await ask(server.port, path, { method, ...question, headers: { ...json, ...question.headers } });
    expect([answer.status, answer.json()['code']]).toEqual([status, code]);
    httpErrorSchema.parse(answer.json());
    if (status === 405) expect(answer.headers.allow).toBeTruthy();
  });
});

describe('uploads', () => {
  const put = (body: Buffer, type: string): Promise<Answer> => ask(server.port, '/api/uploads', { method: 'PUT', headers: { 'content-type': type }, body });
  const recipe = {
    version: 1,
    role: 'original',
    job_id: JOB,
    task_type: 'text_to_image',
    params: { prompt: '猫 🐈', width: 512, height: 512, steps: 9, guidance_scale: 0, seed: 1, model_type: 'uint4' },
    checkpoint: { name: 'c', identity: 'i' },
    upscaler: { name: 'u', identity: 'j' },
    program: { name: 'p', version: '1' },
    created_at: 1.5,
  };
  const picture = { width: 16, height: 16, data: new Uint8Array(16 * 16 * 3) };

  test('the recipe in our PNG comes back', async () => {
    const bytes = await encodePng(picture, [
      { keyword: 'parameters', text: 'a cat' },
      { keyword: RECIPE_KEYWORD, text: JSON.stringify(recipe) },
    ]);
    const answer = await put(Buffer.from(bytes), 'image/png');
    expect(answer.json()).toMatchObject({ format: 'png', width: 16, height: 16, recipe, texts: [{ keyword: 'parameters', text: 'a cat' }, {}] });
  });

  test('a foreign PNG gives its texts, another format its size', async () => {
    const bytes = await encodePng(picture, [{ keyword: RECIPE_KEYWORD, text: '{"version":99}' }]);
    expect((await put(Buffer.from(bytes), 'image/png')).json()).toMatchObject({ recipe: null, texts: [{ text: '{"version":99}' }] });
    const jpeg = await sharp(png).jpeg().toBuffer();
    expect((await put(jpeg, 'image/jpeg')).json()).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{64}$/),
      format: 'jpeg',
      width: 640,
      height: 320,
      notices: [],
      texts: [],
      recipe: null,
    });
  });

  test('a file that is not an image is refused', async () => {
    expect((await put(Buffer.from('hello'), 'image/png')).json()['code']).toBe('picture_damaged');
    expect((await put(Buffer.from('{}'), 'application/json')).status).toBe(415);
    expect((await put(Buffer.from('a'), 'text/plain')).status).toBe(415);
    expect((await put(Buffer.from('<svg/>'), 'text/image/png')).status).toBe(415);
  });
});

describe('slow and large bodies', () => {
  const head = (path: string, type: string, length: number) =>
    `PUT ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`;
  /** Sends all parts, `pauseMs` between them, and only then begins to read. */
  const sendThenRead = async (port: number, parts: readonly (string | Buffer)[], pauseMs: number): Promise<string> => {
    const socket = connectTcp({ port, host: '127.0.0.1' });
    for (const part of parts) {
      await new Promise((resolve) => socket.write(part, resolve));
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    let text = '';
    for await (const part of socket) text += part;
    return text;
  };

  test('an upload over a slow line that never stands still arrives', async () => {
    const patient = await startStudioServer({ bodyLimits: { silenceMs: 250, totalMs: 50, bytesPerSecond: 100 } });
    const parts = Array.from({ length: 20 }, (_, i) => png.subarray(Math.floor((i * png.length) / 20), Math.floor(((i + 1) * png.length) / 20)));
    const answer = await sendThenRead(patient.port, [head('/api/uploads', 'image/png', png.length), ...parts], 25);
    expect(answer).toMatch(/^HTTP\/1\.1 200 .*"width":640/s);
    await patient.close();
  });

  // without the fix the connection closes after half a minute
  test.for([
    ['without a body', '\r\n'],
    ['with a body', 'Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'],
  ])('an address that cannot be decoded, %s, is answered and the connection closed', { timeout: 20_000 }, async ([, rest]) => {
    const request = `PATCH /api/%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${rest}`;
    expect(await sendThenRead(server.port, [request], 0)).toMatch(/^HTTP\/1\.1 400 .*"code":"bad_message"/s);
  });

  test('a body that moves but takes longer than its size allows is answered 408', async () => {
    const strict = await startStudioServer({ bodyLimits: { silenceMs: 200, totalMs: 100, bytesPerSecond: 1_000_000 } });
    const answer = await sendThenRead(strict.port, [head('/api/uploads', 'image/png', 10_000), ...Array<string>(20).fill('x')], 50);
    expect(answer).toMatch(/^HTTP\/1\.1 408 .*"code":"request_timeout"/s);
    await strict.close();
  });

  test.for([
    ['announced', head('/api/settings', 'application/json', 8_000_000)],
    [
      'in chunks',
      `PUT /api/settings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${(8_000_000).toString(16)}\r\n`,
    ],
  ])('a client that sends all of a body that is too large, %s, still reads the 413', async ([, begun]) => {
    const socket = connectTcp({ port: server.port, host: '127.0.0.1' });
    const answered = once(socket, 'data');
    socket.pause();
    socket.write(begun ?? '');
    await new Promise((resolve) => socket.write(Buffer.alloc(8_000_000, 32), resolve));
    socket.resume();
    const [data] = await answered;
    expect(String(data)).toMatch(/^HTTP\/1\.1 413 .*"code":"body_too_large"/s);
    socket.destroy();
  });

  test('uploads beyond the memory for them are refused with a time to wait, and taken later', async () => {
    const small = await startStudioServer({ uploadLimits: { totalBytes: 1000 } });
    const first = connectTcp({ port: small.port, host: '127.0.0.1' });
    first.write(head('/api/uploads', 'image/png', 900));
    const second = () => ask(small.port, '/api/uploads', { method: 'PUT', headers: { 'content-type': 'image/png' }, body: Buffer.alloc(200) });
    await expect.poll(async () => (await second()).status).toBe(503);
    const refused = await second();
    expect([refused.json()['code'], refused.headers['retry-after']]).toEqual(['too_many_uploads', '2']);
    first.destroy();
    await expect.poll(async () => (await second()).status).toBe(422);
    await small.close();
  });
});

describe('the window', () => {
  test('its page carries the nonce of this very answer, under a policy without unsafe-inline', async () => {
    const [one, two] = [await get('/'), await get('/')];
    const policy = String(one.headers['content-security-policy']);
    const nonce = /nonce="([^"]+)"/.exec(one.body.toString())?.[1];
    expect(policy).toContain(`style-src 'self' 'nonce-${nonce}'`);
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    expect(two.body.toString()).not.toContain(String(nonce));
    expect(one.headers['cache-control']).toBe('no-cache');
  });

  test('named by content a file is kept for ever, else it is asked for again', async () => {
    expect((await get('/assets/index-abc123.js')).headers).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
      'content-type': 'text/javascript; charset=utf-8',
    });
    expect((await get('/favicon.svg')).headers['cache-control']).toBe('no-cache');
  });

  test('page and files stay from one build while another replaces them', async () => {
    let root = '';
    const write = async (build: string): Promise<void> => {
      await rm(join(root, 'renderer'), { recursive: true, force: true });
      await mkdir(join(root, 'renderer', 'assets'), { recursive: true });
      await writeFile(join(root, 'renderer', 'index.html'), `<script src="/assets/index-${build}.js"></script>`);
      await writeFile(join(root, 'renderer', 'assets', `index-${build}.js`), `// ${build}`);
    };
    const running = await startStudioServer({
      prepare: (folder) => {
        root = folder;
        return write('one');
      },
    });
    await write('two');
    expect((await ask(running.port, '/')).body.toString()).toContain('index-one.js');
    expect((await ask(running.port, '/assets/index-one.js')).body.toString()).toBe('// one');
    await running.close();
  });

  test('without a build the start page says so', async () => {
    const bare = await startStudioServer();
    const page = await ask(bare.port, '/');
    expect([page.status, page.body.toString().includes('/docs')]).toEqual([200, true]);
    await bare.close();
  });
});

test.for([
  ['/api/health/', '/api/health'],
  ['/api/health//?x=1', '/api/health?x=1'],
  [`/api/image/${NAME}/?w=64`, `/api/image/${NAME}?w=64`],
  ['/docs/', '/docs'],
])('%s is redirected to %s with the same method, as FastAPI does', async ([path = '', location = '']) => {
  const answer = await get(path);
  expect([answer.status, answer.headers.location]).toEqual([307, location]);
  expect((await get(location)).status).toBe(200);
});

test.for(['//evil.example/', '/api/nothing/', '//api/health/', '/%2Fevil.example/'])('%s is not redirected', async (path) => {
  expect((await get(path)).status).toBe(404);
});

test.for(['?t=123', '?rand=0.7', '?v=2', '?_=1', '?w=64&t=1', '?W=1'])('an image with %s, as pages add against caches, is sent', async (query) => {
  expect((await get(`/api/image/${NAME}${query}`)).status).toBe(200);
});

test('a call without a body is taken with a content type of JSON, as many clients send it', async () => {
  for (const [method, path] of [
    ['DELETE', '/api/bin'],
    ['POST', '/api/devices/probe'],
  ] as const) {
    expect((await ask(server.port, path, { method, headers: { 'content-type': 'application/json', 'content-length': '0' } })).status).toBe(200);
  }
});

test('a compressed body is refused by its encoding', async () => {
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  const answer = await ask(server.port, '/api/queue', { method: 'POST', headers, body: gzipSync('{"action":"resume"}') });
  expect([answer.status, answer.json()['code'], answer.headers['accept-encoding']]).toEqual([415, 'unsupported_media_type', 'identity']);
  const plain = await ask(server.port, '/api/queue', { method: 'POST', headers: { ...headers, 'content-encoding': 'identity' }, body: '{"action":"resume"}' });
  expect(plain.status).toBe(200);
});

test('numbers in a refused body are quoted in their digits', async () => {
  const answer = await sendRaw('PUT', '/api/settings', '{"empty_bin_after_days":9007199254740993}');
  expect(answer.json()['message']).toContain('is 9007199254740993;');
});

test.for(['/api/health', '/api/jobs', '/api/info', '/docs', '/', `/api/image/${NAME}`, `/api/image/${NAME}?w=64`])(
  'a client that closes its sending side after GET %s gets the answer',
  async (path) => {
    const socket = connectTcp({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.end(`GET ${path} HTTP/1.1\r\nHost: localhost:${server.port}\r\n\r\n`);
    let text = '';
    for await (const part of socket) text += part;
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  },
);

test('an <img> on a page of a listed origin is shown, on other pages not', async () => {
  const listed = 'https://app.example';
  const open = await startStudioServer({ allowOrigins: [listed], prepare: (folder) => writeFile(join(folder, 'outputs', NAME), png) });
  const asImg = async (headers: Record<string, string>) => {
    const fetched = { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image', ...headers };
    const answer = await ask(open.port, `/api/image/${NAME}`, { headers: fetched });
    return [answer.status, answer.headers['cross-origin-resource-policy']];
  };
  expect(await asImg({ 'sec-fetch-site': 'cross-site', referer: `${listed}/` })).toEqual([200, 'cross-origin']);
  expect(await asImg({ 'sec-fetch-site': 'same-site', referer: `${listed}/` })).toEqual([200, 'cross-origin']);
  expect(await asImg({ 'sec-fetch-site': 'same-site', referer: 'http://localhost:9999/' })).toEqual([200, 'same-origin']);
  expect(await asImg({ 'sec-fetch-site': 'cross-site', referer: 'https://evil.example/' })).toEqual([403, 'same-origin']);
  expect(await asImg({ 'sec-fetch-site': 'cross-site' })).toEqual([403, 'same-origin']);
  await open.close();
});

test('headers beyond 16 KiB are refused', async () => {
  const answer = await get('/api/health', { x: 'a'.repeat(17_000) });
  expect([answer.status, answer.json()['code']]).toEqual([431, 'headers_too_large']);
});

test.for<[part: string, begun: string]>([
  ['headers', 'GET /api/health HTTP/1.1\r\nHost: localhost\r\nX: '],
  ['bytes', 'POST /api/queue HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{"action"'],
  ['chunks', 'POST /api/queue HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"ac'],
])('a request whose %s stop in the middle is answered after the time allowed', async ([, begun]) => {
  const impatient = await startStudioServer({ bodyLimits: { silenceMs: 300 } });
  impatient.app.server.headersTimeout = 200;
  const answer = await exchange(impatient.port, begun);
  expect([answer.statuses, answer.code]).toEqual([[408], 'request_timeout']);
  expect((await ask(impatient.port, '/api/health')).status).toBe(200);
  await impatient.close();
});

test('an internal error is logged once, without details for the client', async () => {
  const broken = await startStudioServer();
  broken.jobs.list = () => {
    throw new Error('the inside of it');
  };
  const answer = await ask(broken.port, '/api/jobs');
  expect([answer.status, answer.json()['code']]).toEqual([500, 'internal']);
  expect(answer.body.toString()).not.toContain('inside of it');
  expect(broken.logLines.filter((line) => line.includes('inside of it'))).toHaveLength(1);
  await broken.close();
});

test('a port that is taken, and an address that is not ours, are one sentence', async () => {
  const refused = async (host: string, port: number): Promise<AppError> => {
    const app = await buildAnother();
    try {
      await listen(app, host, port);
    } catch (thrown) {
      if (thrown instanceof AppError) return thrown;
      throw thrown;
    } finally {
      await app.close();
    }
    throw new Error('it listened');
  };
  expect(await refused('127.0.0.1', server.port)).toMatchObject({ code: 'port_taken', data: { port: server.port } });
  expect(await refused('192.0.2.1', 0)).toMatchObject({ code: 'bad_option', data: { option: '--host' } });
  expect(await refused('no-such-host.invalid', 0)).toMatchObject({ code: 'bad_option', data: { option: '--host' } });
});
