import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Answer, ask } from '../../../../tests/doubles/ask.ts';
import { StudioProcess } from '../../../../tests/support/studio-process.ts';

let server: StudioProcess;
/** 300 x 260: a size that the model cannot make. */
let image: Buffer;
/** White in its left half. */
let mask: Buffer;
/** Transparent in its left half. */
let transparent: Buffer;
let otherSize: Buffer;

beforeAll(async () => {
  server = await StudioProcess.start({ engine: { stepMs: 10 } });
  const half = { input: { create: { width: 150, height: 260, channels: 3 as const, background: 'white' } }, left: 0, top: 0 };
  const canvas = (channels: 3 | 4, background: string) => sharp({ create: { width: 300, height: 260, channels, background } });
  image = await canvas(3, 'red').png().toBuffer();
  mask = await canvas(3, 'black').composite([half]).png().toBuffer();
  transparent = await canvas(4, 'black')
    .composite([{ ...half, blend: 'dest-out' }])
    .png()
    .toBuffer();
  otherSize = await sharp({ create: { width: 64, height: 64, channels: 3, background: 'white' } })
    .png()
    .toBuffer();
});
afterAll(() => server.dispose());

interface Part {
  name: string;
  value: string | Buffer;
  /** What stands behind the name, and further header lines. */
  more?: string;
}
const small = [
  { name: 'steps', value: '4' },
  { name: 'seed', value: '7' },
];

/** A form as a client writes it, byte by byte. */
function form(parts: readonly Part[]): { headers: Record<string, string>; body: Buffer } {
  const written = parts.flatMap(({ name, value, more = '' }) => [
    Buffer.from(`--BOUNDARY\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n`),
    Buffer.from(value),
    Buffer.from('\r\n'),
  ]);
  return { headers: { 'content-type': 'multipart/form-data; boundary=BOUNDARY' }, body: Buffer.concat([...written, Buffer.from('--BOUNDARY--\r\n')]) };
}
const edit = (parts: readonly Part[], path = '/v1/images/edits'): Promise<Answer> => ask(server.port, path, { method: 'POST', ...form(parts) });
const editJson = (body: object, path = '/v1/images/edits'): Promise<Answer> =>
  ask(server.port, path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

interface Images {
  data: { b64_json: string }[];
  size: string;
  zimage: { job_ids: string[]; seeds: number[] };
}
async function read(answer: Answer) {
  expect([answer.status, answer.status === 200 ? '' : answer.body.toString()]).toEqual([200, '']);
  const { data, size, zimage } = answer.json() as unknown as Images;
  const png = Buffer.from(data[0]?.b64_json ?? '', 'base64');
  const { width, height } = await sharp(png).metadata();
  const job = (await ask(server.port, `/api/jobs/${zimage.job_ids[0]}`)).json();
  return { size, zimage, made: `${width}x${height}`, task: job['task_type'], params: job['params'] as Record<string, unknown> };
}

/** The parts of each client, written from its source. */
const clients: Record<string, () => Part[]> = {
  'openai-python': () => [
    { name: 'prompt', value: 'a red fox' },
    { name: 'size', value: '300x260' },
    { name: 'image', value: image, more: '; filename="upload"\r\nContent-Type: application/octet-stream' },
  ],
  'openai-node with a list': () => [
    { name: 'image[]', value: image, more: '; filename="fox.png"\r\nContent-Type: image/png' },
    { name: 'prompt', value: 'a red fox' },
    { name: 'model', value: 'gpt-image-1' },
  ],
  'Vercel AI SDK': () => [
    { name: 'image', value: image, more: '; filename="blob"\r\nContent-Type: image/png' },
    { name: 'prompt', value: 'a red fox' },
    { name: 'n', value: '1' },
    { name: 'size', value: '300x260' },
  ],
  'Open WebUI': () => [
    { name: 'model', value: 'zimage' },
    { name: 'prompt', value: 'a red fox' },
    { name: 'n', value: '1' },
    { name: 'response_format', value: 'b64_json' },
    { name: 'image', value: image, more: '; filename="image.png"\r\nContent-Type: image/png' },
  ],
  LibreChat: () => [
    { name: 'model', value: 'gpt-image-1' },
    { name: 'prompt', value: 'a red fox' },
    { name: 'quality', value: 'auto' },
    { name: 'size', value: 'auto' },
    { name: 'image[]', value: image, more: '; filename="a.png"\r\nContent-Type: image/png' },
  ],
  AnythingLLM: () => [
    { name: 'model', value: 'zimage' },
    { name: 'prompt', value: 'a red fox' },
    { name: 'size', value: '300x260' },
    { name: 'n', value: '1' },
    { name: 'image', value: image, more: '; filename="attachment.png"' },
  ],
  'a file without a name': () => [
    { name: 'image', value: image },
    { name: 'prompt', value: 'a red fox' },
  ],
};

test.for(Object.keys(clients))('the form of %s becomes an image of the size that was asked', async (client) => {
  const { made, size, task, params, zimage } = await read(await edit([...small, ...(clients[client]?.() ?? [])]));
  expect([made, size, task]).toEqual(['300x260', '300x260', 'image_to_image']);
  expect(params).toMatchObject({ prompt: 'a red fox', width: 304, height: 272, steps: 4, strength: 0.6 });
  expect(zimage.seeds).toEqual([7]);
});

test.for<[what: string, polarity: () => Buffer]>([
  ['white', () => mask],
  ['what is transparent', () => transparent],
])('with a mask %s is repainted; image and mask are filled up to a size that the model can make and not scaled', async ([, polarity]) => {
  const answer = await edit([...small, { name: 'prompt', value: 'a blue fox' }, { name: 'image', value: image }, { name: 'mask', value: polarity() }]);
  const { made, task, params } = await read(answer);
  expect([made, task, params['strength']]).toEqual(['300x260', 'inpaint', 1]);
  const kept = async (id: unknown) => (await ask(server.port, `/api/uploads/${id}/image`)).body;
  for (const [sent, id] of [
    [image, params['image']],
    [polarity(), params['mask']],
  ] as const) {
    const filled = sharp(await kept(id));
    expect(await filled.metadata()).toMatchObject({ width: 304, height: 272 });
    const own = await filled.clone().extract({ left: 0, top: 0, width: 300, height: 260 }).ensureAlpha().raw().toBuffer();
    expect(own.equals(await sharp(sent).ensureAlpha().raw().toBuffer())).toBe(true);
    const corner = { width: 1, height: 1 };
    const added = await filled
      .extract({ left: 303, top: 271, ...corner })
      .ensureAlpha()
      .raw()
      .toBuffer();
    expect(added).toEqual(
      await sharp(sent)
        .extract({ left: 299, top: 259, ...corner })
        .ensureAlpha()
        .raw()
        .toBuffer(),
    );
  }
});

test('JSON: a data URI, the file name of an image made here, its address, and the id of an upload', async () => {
  const uploaded = (await ask(server.port, '/api/uploads', { method: 'PUT', headers: { 'content-type': 'image/png' }, body: image })).json();
  const first = await read(await editJson({ prompt: 'json', steps: 4, seed: 1, images: [{ image_url: `data:image/png;base64,${image.toString('base64')}` }] }));
  const job = (await ask(server.port, `/api/jobs/${first.zimage.job_ids[0]}`)).json() as { result: { filename: string } };
  const { filename } = job.result;
  for (const source of [filename, `http://127.0.0.1:${server.port}/api/image/${filename}`, uploaded['id']]) {
    const { task } = await read(await editJson({ prompt: 'json', steps: 4, seed: 2, size: '256x256', image: source }));
    expect(task).toBe('image_to_image');
  }
});

test('variations need no prompt, and n gives consecutive seeds', async () => {
  const answer = await edit([...small, { name: 'n', value: '2' }, { name: 'image', value: image }], '/v1/images/variations');
  expect((await read(answer)).zimage.seeds).toEqual([7, 8]);
});

test('a stream has the events of edits', async () => {
  const answer = await edit([
    { name: 'prompt', value: 'streamed' },
    { name: 'image', value: image },
    { name: 'stream', value: 'true' },
    { name: 'partial_images', value: '1' },
    { name: 'steps', value: '9' },
  ]);
  expect([...answer.body.toString().matchAll(/^event: (.*)$/gm)].map((match) => match[1])).toEqual(['image_edit.partial_image', 'image_edit.completed']);
});

test('a repeated edit finds its job; with another image it is another one', async () => {
  const parts = [
    { name: 'prompt', value: 'again' },
    { name: 'image', value: image },
  ];
  const send = (retry: string, all = parts): Promise<Answer> => {
    const { headers, body } = form(all);
    return ask(server.port, '/v1/images/edits', { method: 'POST', headers: { ...headers, 'x-stainless-retry-count': retry }, body });
  };
  const first = (await read(await send('0'))).zimage;
  expect((await read(await send('1'))).zimage).toEqual(first);
  expect(
    (
      await read(
        await send('1', [
          { name: 'prompt', value: 'again' },
          { name: 'image', value: mask },
        ]),
      )
    ).zimage.seeds,
  ).not.toEqual(first.seeds);
});

test('guidance and a negative prompt reach the job', async () => {
  const body = { prompt: 'negative', size: '256x256', steps: 4, guidance_scale: 2, negative_prompt: 'blurry' };
  const { params } = await read(await editJson(body, '/v1/images/generations'));
  expect(params).toMatchObject({ guidance_scale: 2, negative_prompt: 'blurry' });
});

test('a client that goes away while it waits cancels its edit', async () => {
  const queue = (action: string): Promise<Answer> => editJson({ action }, '/api/queue');
  const waiting = async (): Promise<number> => Number((await ask(server.port, '/api/queue')).json()['waiting']);
  await queue('pause');
  const gone = new AbortController();
  const { headers, body } = form([
    { name: 'prompt', value: 'left alone' },
    { name: 'image', value: image },
  ]);
  const asked = fetch(`http://127.0.0.1:${server.port}/v1/images/edits`, { method: 'POST', headers, body: new Uint8Array(body), signal: gone.signal }).catch(
    () => null,
  );
  await expect.poll(waiting).toBe(1);
  gone.abort();
  await asked;
  await expect.poll(waiting).toBe(0);
  await queue('resume');
});

const prompt = { name: 'prompt', value: 'x' };
const foreign = [
  'http://127.0.0.1:1/api/settings',
  'http://[::ffff:127.0.0.1]/',
  'http://0x7f000001/',
  'https://example.org/fox.png',
  'file:///etc/passwd',
  '../../etc/passwd',
  '%c0%ae',
  '0'.repeat(64),
];
test.for<[what: string, answer: () => Promise<Answer>, status: number, code: string, param: string | null]>([
  ['no file', () => edit([prompt]), 400, 'missing_param', 'image'],
  ['no prompt', () => edit([{ name: 'image', value: image }]), 400, 'missing_param', 'prompt'],
  ['two images', () => edit([prompt, { name: 'image[]', value: image }, { name: 'image[]', value: image }]), 400, 'bad_param', 'image'],
  ['a file that is no image', () => edit([prompt, { name: 'image', value: 'no image' }]), 422, 'picture_damaged', null],
  ['half an image', () => edit([prompt, { name: 'image', value: image.subarray(0, 300) }]), 422, 'picture_damaged', null],
  ['a mask of another size', () => edit([prompt, { name: 'image', value: image }, { name: 'mask', value: otherSize }]), 400, 'bad_param', 'mask'],
  ['a wrong size', () => edit([prompt, { name: 'image', value: image }, { name: 'size', value: '7x7' }]), 400, 'bad_param', 'size'],
  ['text for a number', () => edit([prompt, { name: 'image', value: image }, { name: 'n', value: 'many' }]), 400, 'bad_param', 'n'],
  ['a strength of 0', () => edit([prompt, { name: 'image', value: image }, { name: 'strength', value: '0' }]), 400, 'bad_param', 'strength'],
  ['a form that ends early', () => cut(form([prompt, { name: 'image', value: image }])), 400, 'bad_message', null],
  ['a form without boundary', () => bare('multipart/form-data', 'x'), 400, 'bad_message', null],
  ['an empty form', () => bare('multipart/form-data; boundary=x', '--x--\r\n'), 400, 'missing_param', 'prompt'],
  ['a part without a name', () => bare('multipart/form-data; boundary=x', '--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--'), 400, 'bad_message', null],
  ['another media type', () => bare('text/plain', 'x'), 415, 'unsupported_media_type', null],
  ...foreign.map((image_url): [string, () => Promise<Answer>, number, string, string] => [
    `the address ${image_url}`,
    () => editJson({ prompt: 'x', images: [{ image_url }] }),
    404,
    'unknown_image',
    'image',
  ]),
])('%s is refused in the shape of the door', async ([, send, status, code, param]) => {
  const answer = await send();
  expect([answer.status, answer.json()]).toEqual([status, { error: { message: expect.any(String), type: expect.any(String), param, code } }]);
  expect(answer.headers['x-should-retry']).toBe('false');
});

function cut({ headers, body }: ReturnType<typeof form>): Promise<Answer> {
  return ask(server.port, '/v1/images/edits', { method: 'POST', headers, body: body.subarray(0, -20) });
}
function bare(type: string, body: string): Promise<Answer> {
  return ask(server.port, '/v1/images/edits', { method: 'POST', headers: { 'content-type': type }, body });
}
