import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask } from '../../../../tests/doubles/ask.ts';
import { StudioProcess } from '../../../../tests/support/studio-process.ts';

const cli = join(import.meta.dirname, '../../../cli/main.ts');
const initialize = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
const generation = { prompt: 'a red fox', width: 256, height: 256, steps: 4, seed: 3 };
let server: StudioProcess;
let mask256: string;

beforeAll(async () => {
  const white = await sharp({ create: { width: 256, height: 256, channels: 3, background: 'white' } })
    .png()
    .toBuffer();
  mask256 = `data:image/png;base64,${white.toString('base64')}`;
  server = await StudioProcess.start({ engine: { stepMs: 20 } });
});
afterAll(() => server.dispose());

interface Message {
  id?: number;
  method?: string;
  params?: { progress: number };
  result?: {
    tools?: { name: string }[];
    content?: { type: string; text?: string; data?: string; uri?: string }[];
    structuredContent?: { images: Record<string, unknown>[] };
    isError?: boolean;
  };
}

/** One request over HTTP in the older protocol; resolves with every message of its answer. */
async function call(method: string, params: object, signal?: AbortSignal): Promise<Message[]> {
  const answer = await fetch(`http://127.0.0.1:${server.port}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    ...(signal === undefined ? {} : { signal }),
  });
  const text = await answer.text();
  if (!answer.headers.get('content-type')?.startsWith('text/event-stream')) return [JSON.parse(text)];
  return [...text.matchAll(/^data: (\{.*)$/gm)].map((match) => JSON.parse(match[1] ?? ''));
}
const callTool = (name: string, args: object, more: object = {}): Promise<Message[]> => call('tools/call', { name, arguments: args, ...more });

test('the tools are listed', async () => {
  const [message] = await call('tools/list', {});
  expect(message?.result?.tools?.map(({ name }) => name)).toEqual([
    'generate_image',
    'edit_image',
    'upscale_image',
    'get_job',
    'cancel_job',
    'list_jobs',
    'get_status',
  ]);
});

test('an image: rising progress, a small preview for the person, a link that opens, structured content', async () => {
  const messages = await callTool('generate_image', generation, { _meta: { progressToken: 7 } });
  const progress = messages.filter(({ method }) => method === 'notifications/progress').map(({ params }) => params?.progress ?? 0);
  expect(progress.length).toBeGreaterThan(0);
  expect(progress).toEqual([...new Set(progress)].toSorted((one, other) => one - other));
  const result = messages.at(-1)?.result;
  expect(result?.content?.map(({ type }) => type)).toEqual(['text', 'image', 'resource_link']);
  expect(result?.content?.[1]?.data?.length).toBeLessThan(140_000);
  expect(result?.structuredContent?.images).toMatchObject([{ state: 'generated', seed: 3, width: 256, height: 256, error: null }]);
  const link = new URL(result?.content?.[2]?.uri ?? '');
  expect(link.port).toBe(String(server.port));
  expect((await ask(server.port, link.pathname)).headers['content-type']).toBe('image/png');
});

test('an image is edited and upscaled: by job id, file name, address and data URI', async () => {
  const [made] = (await callTool('generate_image', { ...generation, prompt: 'a source' })).at(-1)?.result?.structuredContent?.images ?? [];
  const address = String(made?.['url']);
  const bytes = (await ask(server.port, new URL(address).pathname)).body;
  const sources = [made?.['job_id'], address.split('/').at(-1), address, `data:image/png;base64,${bytes.toString('base64')}`];
  for (const image of sources) {
    const result = (await callTool('edit_image', { prompt: 'at night', image, steps: 4, seed: 5 })).at(-1)?.result;
    expect(result?.structuredContent?.images).toMatchObject([{ seed: 5, width: 256, height: 256, error: null }]);
  }
  const masked = (
    await callTool('edit_image', { prompt: 'masked', image: address, mask: mask256, steps: 4, strength: 0.5 }, { _meta: { progressToken: 8 } })
  ).at(-1);
  const [{ job_id } = {}] = masked?.result?.structuredContent?.images ?? [];
  expect((await ask(server.port, `/api/jobs/${job_id}`)).json()).toMatchObject({ task_type: 'inpaint', params: { strength: 0.5 } });
  const upscaled = (await callTool('upscale_image', { image: address, scale: 2 }, { _meta: { progressToken: 9 } })).at(-1)?.result;
  expect(upscaled?.structuredContent?.images).toMatchObject([{ seed: null, width: 512, height: 512, error: null }]);
  expect(upscaled?.content?.map(({ type }) => type)).toEqual(['text', 'image', 'resource_link']);
});

test.each([
  ['edit_image', { prompt: 'x', image: '/etc/hostname' }, 'image is "/etc/hostname"'],
  ['edit_image', { prompt: 'x', image: 'http://127.0.0.1:1/x.png' }, 'image is "http://127.0.0.1:1/x.png"'],
  ['edit_image', { prompt: 'x', image: 'data:image/png;base64,AAAA' }, 'starts with'],
  ['edit_image', { image: 'x.png' }, 'prompt'],
  ['upscale_image', { image: '0'.repeat(64) }, 'job'],
  ['upscale_image', { image: 'x.png', scale: 3 }, 'scale'],
])('%s with %j is refused by name', async (name, args, text) => {
  const [message] = await callTool(name, args);
  expect(message?.result).toMatchObject({ isError: true, content: [{ text: expect.stringContaining(text) }] });
});

test('a wait that runs out returns the job id, which get_job and cancel_job take', async () => {
  const [message] = await callTool('generate_image', { ...generation, prompt: 'a long one', steps: 50, wait_seconds: 0 });
  const job_id = message?.result?.structuredContent?.images[0]?.['job_id'];
  expect(job_id).toMatch(/^[0-9a-f]{64}$/);
  const [found] = await callTool('get_job', { job_id });
  expect(found?.result?.structuredContent?.images).toMatchObject([{ job_id, url: null }]);
  const [cancelled] = await callTool('cancel_job', { job_id });
  expect(cancelled?.result?.content?.[0]?.text).toContain('is cancelled');
});

test('in the older protocol a lost connection cancels nothing', async () => {
  const gone = new AbortController();
  const asked = call('tools/call', { name: 'generate_image', arguments: { ...generation, prompt: 'goes on', steps: 20 } }, gone.signal).catch(() => null);
  const states = async (): Promise<string[]> =>
    ((await ask(server.port, '/api/jobs?limit=50')).json()['jobs'] as { status: string; params: { prompt: string } }[])
      .filter(({ params }) => params.prompt === 'goes on')
      .map(({ status }) => status);
  await expect.poll(states).toHaveLength(1);
  gone.abort();
  await asked;
  await expect.poll(states).toEqual(['completed']);
});

test.each([
  [{ ...generation, width: 7 }, 'width'],
  [{ ...generation, prompt: undefined }, 'prompt'],
  [{ ...generation, count: 99 }, 'count'],
])('%j is refused by name', async (args, field) => {
  const [message] = await callTool('generate_image', args);
  expect(message?.result).toMatchObject({ isError: true, content: [{ text: expect.stringContaining(field) }] });
});

test('HEAD and PUT are refused', async () => {
  expect((await ask(server.port, '/mcp', { method: 'HEAD' })).status).toBe(405);
  expect((await ask(server.port, '/mcp', { method: 'PUT' })).status).toBe(405);
});

test('status and lists are short texts', async () => {
  expect((await callTool('get_status', {}))[0]?.result?.content?.[0]?.text).toMatch(/^Models: storybook-uint4/);
  expect((await callTool('list_jobs', { limit: 1 }))[0]?.result?.content?.[0]?.text).toMatch(/^[0-9a-f]{64} \w+ \d+x\d+ "/);
});

test('over stdio: only messages on standard output, and the end of input ends the program while the server lives on', async () => {
  const child = spawn(process.execPath, [cli, 'mcp', '--url', `http://127.0.0.1:${server.port}`], { stdio: ['pipe', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  const messages: Message[] = [];
  createInterface(child.stdout).on('line', (line) => messages.push(JSON.parse(line)));
  const send = (message: object): boolean => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  send({ id: 1, method: 'initialize', params: initialize });
  send({ method: 'notifications/initialized' });
  send({ id: 2, method: 'tools/call', params: { name: 'generate_image', arguments: { ...generation, seed: 4 } } });
  await expect
    .poll(() => messages.find(({ id }) => id === 2)?.result?.content?.map(({ type }) => type))
    .toEqual(['text', 'image', 'resource_link', 'resource_link']);
  const file = messages.find(({ id }) => id === 2)?.result?.content?.[3]?.uri ?? '';
  expect(file).toMatch(/^file:\/\/.*\.png$/);
  send({ id: 3, method: 'tools/call', params: { name: 'upscale_image', arguments: { image: file, scale: 2 } } });
  send({ id: 4, method: 'tools/call', params: { name: 'upscale_image', arguments: { image: '/etc/hostname' } } });
  await expect.poll(() => messages.find(({ id }) => id === 3)?.result?.structuredContent?.images).toMatchObject([{ width: 512, error: null }]);
  await expect.poll(() => messages.find(({ id }) => id === 4)?.result?.isError).toBe(true);
  child.stdin.end();
  expect((await exited)[0]).toBe(0);
  expect((await ask(server.port, '/api/health')).status).toBe(200);
});

test('over stdio with an input that has ended already', async () => {
  const child = spawn(process.execPath, [cli, 'mcp', '--url', `http://127.0.0.1:${server.port}`], { stdio: ['ignore', 'pipe', 'pipe'] });
  const output: Buffer[] = [];
  child.stdout.on('data', (part) => output.push(part));
  expect((await once(child, 'exit'))[0]).toBe(0);
  expect(Buffer.concat(output).toString()).toBe('');
});
