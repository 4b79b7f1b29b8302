import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readPngTexts } from '#main/lib/png-texts.ts';
import { RECIPE_KEYWORD } from '#shared/domain/recipe.ts';
import { type Answer, ask } from '../../../../tests/doubles/ask.ts';
import { type StudioServer, startStudioServer } from '../../../../tests/doubles/studio-server.ts';
import { StudioProcess } from '../../../../tests/support/studio-process.ts';

const PATH = '/v1/images/generations';
const json = { 'content-type': 'application/json' };
let server: StudioProcess;

beforeAll(async () => {
  server = await StudioProcess.start({ engine: { stepMs: 10 } });
});
afterAll(() => server.dispose());

const generate = (body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  ask(server.port, PATH, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) });
const small = { size: '256x256', steps: 2 };

interface Images {
  data: { b64_json?: string; url?: string }[];
  size: string;
  output_format: string;
  model: string;
  zimage: { seeds: number[]; job_ids: string[] };
}
const imagesOf = (answer: Answer): Images => answer.json() as unknown as Images;
const bytesOf = ({ data }: Images, at = 0): Buffer => Buffer.from(data[at]?.b64_json ?? '', 'base64');
const pngSize = (png: Buffer): string => `${png.readUInt32BE(16)}x${png.readUInt32BE(20)}`;

test('n images with consecutive seeds, whole files with their recipe, the real model and what was ignored', async () => {
  const answer = await generate({ prompt: 'a red fox', ...small, n: 2, seed: 5, model: 'gpt-image-1', quality: 'auto', user: 'me', 'made-up': 1, style: null });
  expect(answer.status).toBe(200);
  expect(answer.headers['x-zimage-ignored']).toBe('quality, user, made-up');
  const images = imagesOf(answer);
  expect(images).toMatchObject({ size: '256x256', output_format: 'png', zimage: { seeds: [5, 6] } });
  expect(images.model).toMatch(/^storybook-uint4/);
  const recipe = readPngTexts(bytesOf(images, 1)).find(({ keyword }) => keyword === RECIPE_KEYWORD)?.text ?? '';
  expect(JSON.parse(recipe)).toMatchObject({ params: { prompt: 'a red fox', seed: 6, steps: 2 }, job_id: images.zimage.job_ids[1] });
});

test('a size that does not divide by 16 is cropped to what was asked; null is the default; both spellings of steps', async () => {
  const images = imagesOf(await generate({ prompt: 'odd', size: '300x260', num_inference_steps: 2, seed: null, n: null, output_format: null }));
  expect([pngSize(bytesOf(images)), images.size, images.data.length]).toEqual(['300x260', '300x260', 1]);
});

test.each([
  ['jpeg', /^ffd8ff/],
  ['webp', /^52494646/],
])('output_format %s', async (output_format, magic) => {
  const images = imagesOf(await generate({ prompt: 'format', ...small, seed: 1, output_format, output_compression: 50 }));
  expect([bytesOf(images).toString('hex', 0, 4), images.output_format]).toEqual([expect.stringMatching(magic), output_format]);
});

test('upscale answers the 4x version', async () => {
  const images = imagesOf(await generate({ prompt: 'large', ...small, seed: 1, upscale: true }));
  expect([pngSize(bytesOf(images)), images.size]).toEqual(['1024x1024', '1024x1024']);
});

test('a url is what the client asked for, opens without headers, also in pages of other sites, and an unknown one does not', async () => {
  const answer = await generate({ prompt: 'link', ...small, seed: 1, response_format: 'url' }, { host: `localhost:${server.port}` });
  const url = new URL(imagesOf(answer).data[0]?.url ?? '');
  expect(url.origin).toBe(`http://localhost:${server.port}`);
  expect(url.href).not.toContain('token=');
  const image = await ask(server.port, url.pathname, { headers: { host: 'localhost', 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image' } });
  expect([image.status, image.headers['content-type'], image.headers['cross-origin-resource-policy']]).toEqual([200, 'image/png', 'cross-origin']);
  expect(pngSize(image.body)).toBe('256x256');
  const other = await ask(server.port, `/v1/images/links/${'a'.repeat(32)}.png`);
  expect([other.status, other.json()]).toEqual([404, { error: expect.objectContaining({ code: 'unknown_image' }) }]);
});

test('a repeated request gets the seed of the first one and joins its job', async () => {
  const body = { prompt: 'repeated', ...small };
  const first = imagesOf(await generate(body, { 'x-stainless-retry-count': '0' }));
  const repeated = imagesOf(await generate(body, { 'x-stainless-retry-count': '1' }));
  expect(repeated.zimage).toEqual(first.zimage);
  const another = imagesOf(await generate(body, { 'x-stainless-retry-count': '0' }));
  expect(another.zimage.seeds).not.toEqual(first.zimage.seeds);
});

test('a stream has the previews, then the image; every event is whole', async () => {
  const answer = await generate({ prompt: 'streamed', size: '256x256', steps: 9, seed: 2, stream: true, partial_images: 2 });
  expect(answer.headers).toMatchObject({ 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no', 'cache-control': 'no-cache' });
  const events = answer.body
    .toString()
    .split('\n\n')
    .filter((text) => text !== '')
    .map((text) => /^event: (\S+)\ndata: (.*)$/.exec(text.replaceAll(': keep-alive\n', '')))
    .map((match) => ({ event: match?.[1], data: JSON.parse(match?.[2] ?? 'null') }));
  expect(events.map(({ event, data }) => [event, data.type === event, data.partial_image_index])).toEqual([
    ['image_generation.partial_image', true, 0],
    ['image_generation.partial_image', true, 1],
    ['image_generation.completed', true, undefined],
  ]);
  expect(pngSize(Buffer.from(events[2]?.data.b64_json, 'base64'))).toBe('256x256');
});

test('a client that goes away cancels its job; one that others want goes on', async () => {
  const queue = (action: string) => ask(server.port, '/api/queue', { method: 'POST', headers: json, body: JSON.stringify({ action }) });
  const waiting = async (): Promise<number> => Number((await ask(server.port, '/api/queue')).json()['waiting']);
  await queue('pause');
  const body = JSON.stringify({ prompt: 'left alone', ...small, seed: 77 });
  const request = `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const sockets = [connect(server.port, '127.0.0.1'), connect(server.port, '127.0.0.1')];
  for (const socket of sockets) {
    await once(socket, 'connect');
    socket.write(request);
  }
  await expect.poll(waiting).toBe(1);
  await expect.poll(async () => (await ask(server.port, '/api/info')).json()['queue']).toMatchObject({ waiting: 1 });
  sockets[0]?.destroy();
  await ask(server.port, '/api/health');
  expect(await waiting()).toBe(1);
  sockets[1]?.destroy();
  await expect.poll(waiting).toBe(0);
  await queue('resume');
});

test('a job that is cancelled elsewhere is an error that the client reads and does not repeat', async () => {
  const queue = (action: string) => ask(server.port, '/api/queue', { method: 'POST', headers: json, body: JSON.stringify({ action }) });
  await queue('pause');
  const waiting = generate({ prompt: 'cancelled elsewhere', ...small });
  await expect.poll(async () => (await ask(server.port, '/api/queue')).json()).toMatchObject({ waiting: 1 });
  await queue('clear');
  const answer = await waiting;
  expect([answer.status, answer.headers['x-should-retry'], answer.json()]).toEqual([409, 'false', { error: expect.objectContaining({ code: 'cancelled' }) }]);
  await queue('resume');
});

test('models', async () => {
  const list = (await ask(server.port, '/v1/models')).json() as { object: string; data: { id: string; object: string }[] };
  expect(list).toMatchObject({ object: 'list', data: [{ object: 'model', owned_by: 'zimage' }, {}] });
  expect((await ask(server.port, `/v1/models/${list.data[0]?.id}`)).json()).toEqual(list.data[0]);
  expect((await ask(server.port, '/v1/models/gpt-image-1')).status).toBe(404);
});

describe('every error has the shape of the door', () => {
  let keyed: StudioServer;
  beforeAll(async () => {
    keyed = await startStudioServer({ requireKey: true });
  });
  afterAll(() => keyed.close());

  const key = (): Record<string, string> => ({ authorization: `Bearer ${keyed.accessKey.text()}` });
  test.for<
    [
      what: string,
      path: string,
      question: { method?: string; headers?: Record<string, string>; body?: string },
      status: number,
      code: string,
      param: string | null,
    ]
  >([
    ['broken JSON', PATH, { method: 'POST', headers: json, body: '{bad' }, 400, 'bad_json', null],
    ['another media type', PATH, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{}' }, 415, 'unsupported_media_type', null],
    ['another method', PATH, {}, 405, 'method_not_allowed', null],
    ['an unknown path', '/v1/nothing', {}, 404, 'not_found', null],
    ['too large', PATH, { method: 'POST', headers: json, body: `{"prompt":"${'a'.repeat(70_000)}"}` }, 413, 'body_too_large', null],
    ['no prompt', PATH, { method: 'POST', headers: json, body: '{}' }, 400, 'missing_param', 'prompt'],
    ['a wrong type', PATH, { method: 'POST', headers: json, body: '{"prompt":7}' }, 400, 'bad_param', 'prompt'],
    ['a bad size in a stream', PATH, { method: 'POST', headers: json, body: '{"prompt":"a","size":"banana","stream":true}' }, 400, 'bad_param', 'size'],
    ['a size too small', PATH, { method: 'POST', headers: json, body: '{"prompt":"a","size":"64x64"}' }, 400, 'bad_param', 'size'],
    ['too many', PATH, { method: 'POST', headers: json, body: '{"prompt":"a","n":11}' }, 400, 'bad_param', 'n'],
    ['transparent', PATH, { method: 'POST', headers: json, body: '{"prompt":"a","background":"transparent"}' }, 400, 'bad_param', 'background'],
    ['a format without encoder', PATH, { method: 'POST', headers: json, body: '{"prompt":"a","output_format":"svg"}' }, 400, 'bad_param', 'output_format'],
  ])('%s', async ([, path, question, status, code, param]) => {
    const answer = await ask(keyed.port, path, { ...question, headers: { ...question.headers, ...key() } });
    expect(answer.status).toBe(status);
    expect(answer.json()).toEqual({ error: { message: expect.any(String), type: expect.any(String), param, code } });
    expect(answer.headers['x-should-retry']).toBe('false');
  });

  test('no key, a foreign Host with and without the key, and a full queue', async () => {
    const noKey = await ask(keyed.port, '/v1/models');
    expect([noKey.status, noKey.json()]).toEqual([401, { error: expect.objectContaining({ type: 'authentication_error', code: 'access_key_required' }) }]);
    const host = { host: 'host.docker.internal:8004' };
    const foreign = await ask(keyed.port, '/v1/models', { headers: host });
    expect([foreign.status, foreign.json()]).toEqual([403, { error: expect.objectContaining({ message: expect.stringContaining('--allow-host') }) }]);
    expect((await ask(keyed.port, '/v1/models', { headers: { ...host, ...key() } })).status).toBe(200);
    expect((await ask(keyed.port, `/v1/models?token=${keyed.accessKey.text()}`, { headers: host })).status).toBe(403);

    const { AppError } = await import('#shared/protocol/errors.ts');
    keyed.jobs.refusal = new AppError('queue_full', 'The queue is full.', { limit: 1000, retryAfterMs: 2500 });
    const full = await ask(keyed.port, PATH, { method: 'POST', headers: { ...json, ...key() }, body: '{"prompt":"a","stream":true}' });
    expect([full.status, full.headers['retry-after'], full.headers['x-should-retry'], full.json()]).toEqual([
      429,
      '3',
      'true',
      { error: expect.objectContaining({ type: 'rate_limit_error', code: 'queue_full' }) },
    ]);
    keyed.jobs.refusal = null;
  });

  test('a failure after the stream began is an error event and the end of the stream', async () => {
    const streamed = ask(keyed.port, PATH, { method: 'POST', headers: { ...json, ...key() }, body: '{"prompt":"fails","stream":true}' });
    await expect.poll(() => [...keyed.jobs.records.values()].some(({ params }) => 'prompt' in params && params.prompt === 'fails')).toBe(true);
    const job_id = [...keyed.jobs.records.values()].find(({ params }) => 'prompt' in params && params.prompt === 'fails')?.job_id ?? '';
    await ask(keyed.port, '/api/health', { headers: key() });
    keyed.jobs.broadcast({ type: 'job_status', job_id, status: 'failed', error: 'The model stopped.', code: 'engine_crashed' });
    const answer = await streamed;
    expect([answer.status, answer.body.toString()]).toEqual([
      200,
      expect.stringMatching(/^event: error\ndata: \{"error":\{"message":"The model stopped\.".*"code":"engine_crashed"\}\}\n\n$/),
    ]);
  });
});

describe('a long wait', () => {
  let slow: StudioServer;
  beforeAll(async () => {
    slow = await startStudioServer({ doorTiming: { headersAfterMs: 10, keepAliveMs: 5 } });
  });
  afterAll(() => slow.close());

  const jobOf = async (prompt: string): Promise<string> => {
    await expect.poll(() => [...slow.jobs.records.values()].some(({ params }) => 'prompt' in params && params.prompt === prompt)).toBe(true);
    return [...slow.jobs.records.values()].find(({ params }) => 'prompt' in params && params.prompt === prompt)?.job_id ?? '';
  };

  test('a stream is kept alive by comments of one line', async () => {
    const answer = ask(slow.port, PATH, { method: 'POST', headers: json, body: '{"prompt":"comments","stream":true}' });
    const job_id = await jobOf('comments');
    await new Promise((resolve) => setTimeout(resolve, 50));
    slow.jobs.broadcast({ type: 'job_status', job_id, status: 'failed', error: 'x', code: 'engine_failed' });
    expect((await answer).body.toString()).toMatch(/^(: keep-alive\n)+event: error\n/);
  });

  test('without a stream headers come early; a late failure cuts the connection, and a repetition is told the reason', async () => {
    const question = { method: 'POST', headers: json, body: '{"prompt":"late"}' };
    const answer = fetch(`http://127.0.0.1:${slow.port}${PATH}`, question)
      .then((response) => response.text())
      .catch((error: Error) => error);
    const job_id = await jobOf('late');
    await new Promise((resolve) => setTimeout(resolve, 50));
    slow.jobs.broadcast({ type: 'job_status', job_id, status: 'failed', error: 'Out of memory.', code: 'engine_out_of_memory' });
    expect(await answer).toBeInstanceOf(Error);
    const repeated = await ask(slow.port, PATH, { ...question, headers: { ...json, 'x-stainless-retry-count': '1' } });
    expect([repeated.status, repeated.headers['x-should-retry'], repeated.json()]).toEqual([
      500,
      'false',
      { error: expect.objectContaining({ message: 'Out of memory.' }) },
    ]);
  });
});
