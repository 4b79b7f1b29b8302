import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { AppError } from '#shared/protocol/errors.ts';
import { type ServerMessage, serverMessageSchema } from '#shared/protocol/messages.ts';
import { ask } from '../../tests/doubles/ask.ts';
import { type StudioServer, startStudioServer } from '../../tests/doubles/studio-server.ts';

let server: StudioServer;
beforeAll(async () => {
  server = await startStudioServer();
});
afterAll(() => server.close());

interface Client {
  socket: WebSocket;
  send(frame: string | object): void;
  /** The next message, checked against the contract. */
  next(): Promise<ServerMessage>;
}

async function connect(query = '', to = server): Promise<Client> {
  const socket = new WebSocket(`ws://127.0.0.1:${to.port}/api/ws${query}`);
  const received: ServerMessage[] = [];
  const waiting: ((message: ServerMessage) => void)[] = [];
  socket.on('message', (data) => {
    const message = serverMessageSchema.parse(JSON.parse(data.toString()));
    const taker = waiting.shift();
    if (taker === undefined) received.push(message);
    else taker(message);
  });
  await once(socket, 'open');
  return {
    socket,
    send: (frame) => socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame)),
    next: () => {
      const message = received.shift();
      return message === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(message);
    },
  };
}

async function refusedUpgrade(query: string): Promise<{ status: number; body: unknown }> {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/api/ws${query}`);
  socket.on('error', () => {});
  const [, response] = await once(socket, 'unexpected-response');
  let body = '';
  for await (const part of response) body += part;
  return { status: response.statusCode, body: JSON.parse(body) };
}

describe('the four messages and watch', () => {
  test('a job is created, asked for, cancelled and listed, each answer with its request_id', async () => {
    const { socket, send, next } = await connect('?client_id=alice');
    send({ type: 'create_job', task_type: 'text_to_image', request_id: 'r1', params: { prompt: 'a tree' } });
    const pending = await next();
    expect(pending).toMatchObject({ type: 'job_status', status: 'pending', request_id: 'r1' });
    if (pending.type !== 'job_status') throw new Error('no status');
    const { job_id } = pending;
    send({ type: 'get_status', job_id, request_id: 7 });
    expect(await next()).toMatchObject({ status: 'pending', request_id: 7 });
    send({ type: 'cancel_job', job_id, request_id: 'r3' });
    expect(await next()).toMatchObject({ status: 'cancelled', request_id: 'r3' });
    send({ type: 'get_client_jobs', request_id: 'r4' });
    expect(await next()).toMatchObject({ type: 'client_jobs', request_id: 'r4', jobs: [{ job_id }] });
    send({ type: 'watch', previews: true, since: 3 });
    expect(await next()).toEqual({ type: 'watching', seq: 3 });
    socket.close();
  });

  test('defaults are filled in before the job sees its params', async () => {
    const { socket, send, next } = await connect();
    send({ type: 'create_job', task_type: 'text_to_image', params: { prompt: 'defaults' } });
    await next();
    const params = [...server.jobs.records.values()].at(-1)?.params;
    expect(params).toEqual({ prompt: 'defaults', width: 1024, height: 1024, steps: 9, guidance_scale: 0, seed: 42, model_type: 'uint4' });
    socket.close();
  });

  test('watch with models brings their progress, until it is taken back', async () => {
    const { send, next } = await connect();
    const install = () => ask(server.port, '/api/models/storybook-uint4/verify', { method: 'POST' });
    send({ type: 'watch', models: true });
    expect(await next()).toMatchObject({ type: 'watching' });
    await install();
    expect(await next()).toMatchObject({ type: 'model_progress', model: { name: 'storybook-uint4', state: 'installed' } });
    send({ type: 'watch', models: false });
    expect(await next()).toMatchObject({ type: 'watching' });
    await install();
    send({ type: 'watch' });
    expect(await next()).toMatchObject({ type: 'watching' });
  });

  test('?since= on connect is answered like watch', async () => {
    const { socket, next } = await connect('?client_id=bob&since=12');
    expect(await next()).toEqual({ type: 'watching', seq: 12 });
    socket.close();
  });

  test('messages sent at once are answered in their order', async () => {
    const { socket, send, next } = await connect();
    for (let i = 0; i < 300; i++)
      send(i % 2 === 0 ? { type: 'create_job', task_type: 'text_to_image', request_id: i, params: { prompt: `p${i}` } } : `{"type":"x","request_id":${i}}`);
    for (let i = 0; i < 300; i++) expect(await next()).toMatchObject({ request_id: i });
    socket.close();
  });

  test.for([
    '1764512345678901234',
    '9007199254740993',
    '12345678901234567890',
    '-9007199254740993',
    '1.0',
    '1e3',
    '-0',
    '0.1',
    '7',
    '"7"',
    '"\\u0000"',
    '"猫"',
  ])('a request_id of %s comes back to the digit, in answers and in errors', async (id) => {
    const { socket } = await connect(`?client_id=ids`);
    const frames: string[] = [];
    socket.on('message', (data) => frames.push(data.toString()));
    socket.send(`{"type":"get_client_jobs","request_id":${id}}`);
    socket.send(`{"type":"create_job","task_type":"text_to_image","request_id":${id},"params":{"prompt":"ids ${id.replaceAll(/["\\]/g, '')}"}}`);
    socket.send(`{"type":"nothing","request_id":${id}}`);
    await expect.poll(() => frames.length).toBe(3);
    for (const frame of frames) expect(frame).toContain(`"request_id":${id}`);
    socket.close();
  });

  test.for([`0.${'1'.repeat(300)}`, '"\\u0000number:1"', '1e400'])('a request_id of %s, which could not come back, is refused by name', async (id) => {
    const { socket, send, next } = await connect('?client_id=ids');
    send(`{"type":"get_client_jobs","request_id":${id}}`);
    expect(await next()).toMatchObject({ type: 'error', code: 'bad_param', field: 'request_id' });
    socket.close();
  });

  test.for(['9007199254740993', '9007199254740992.0', '1e400', '-1.50'])('a seed of %s is refused with the digits that were sent', async (seed) => {
    const { socket, send, next } = await connect();
    send(`{"type":"create_job","task_type":"text_to_image","params":{"prompt":"p","seed":${seed}}}`);
    expect(await next()).toMatchObject({ code: 'bad_param', field: 'seed', message: expect.stringContaining(`seed is ${seed};`) });
    socket.close();
  });

  test('a null request_id counts as none', async () => {
    const { socket, send, next } = await connect();
    send('{"type":"watch","request_id":null}');
    expect(await next()).toEqual({ type: 'watching', seq: 0 });
    socket.close();
  });
});

describe('a bad frame', () => {
  const ID = 'b'.repeat(64);
  test.for<[frame: string | Buffer, code: string, requestId: string | number | undefined]>([
    ['', 'bad_json', undefined],
    ['{', 'bad_json', undefined],
    ['{"type":"watch",}', 'bad_json', undefined],
    ["{'type':'watch'}", 'bad_json', undefined],
    ['NaN', 'bad_json', undefined],
    ['\u0000', 'bad_json', undefined],
    ['\ufeff{"type":"watch"}', 'bad_json', undefined],
    ['null', 'bad_message', undefined],
    ['1', 'bad_message', undefined],
    ['"watch"', 'bad_message', undefined],
    ['[]', 'bad_message', undefined],
    ['[{"type":"watch"}]', 'bad_message', undefined],
    [`${'['.repeat(30_000)}${']'.repeat(30_000)}`, 'bad_message', undefined],
    [Buffer.from('{"type":"watch"}'), 'bad_message', undefined],
    [Buffer.alloc(0), 'bad_message', undefined],
    ['{}', 'missing_param', undefined],
    ['{"request_id":"r"}', 'missing_param', 'r'],
    ['{"type":null,"request_id":"r"}', 'unknown_message_type', 'r'],
    ['{"type":"","request_id":"r"}', 'unknown_message_type', 'r'],
    ['{"type":"CREATE_JOB","request_id":"r"}', 'unknown_message_type', 'r'],
    ['{"type":["watch"],"request_id":"r"}', 'unknown_message_type', 'r'],
    ['{"type":"job_status","request_id":0}', 'unknown_message_type', 0],
    ['{"type":"__proto__","request_id":"r"}', 'unknown_message_type', 'r'],
    ['{"type":"constructor"}', 'unknown_message_type', undefined],
    ['{"type":"watch","request_id":{"a":1}}', 'bad_param', undefined],
    ['{"type":"watch","request_id":1e400}', 'bad_param', undefined],
    ['{"type":"create_job","task_type":"video","request_id":"r","params":{"prompt":"p"}}', 'bad_param', 'r'],
    ['{"type":"create_job","task_type":"text_to_image","request_id":"r","params":{"prompt":"p","seed":"1"}}', 'bad_param', 'r'],
    ['{"type":"create_job","task_type":"text_to_image","request_id":"r","params":{"prompt":"p","cfg":1}}', 'unknown_param', 'r'],
    [`{"type":"get_status","request_id":"r","job_id":"${ID}"}`, 'unknown_job', 'r'],
    [`{"type":"cancel_job","request_id":"r","job_id":"${ID}"}`, 'unknown_job', 'r'],
    ['{"type":"get_client_jobs","request_id":"r"}', 'client_id_required', 'r'],
  ])('%j is answered with an error, and the connection stays open', async ([frame, code, requestId]) => {
    const { socket, send, next } = await connect();
    socket.send(frame);
    const error = await next();
    expect(error).toMatchObject({ type: 'error', code });
    expect('request_id' in error ? error.request_id : undefined).toBe(requestId);
    send({ type: 'watch', request_id: 'still here' });
    expect(await next()).toMatchObject({ type: 'watching', request_id: 'still here' });
    socket.close();
  });

  test('text that is not UTF-8 closes with 1007, as RFC 6455 asks', async () => {
    const { socket } = await connect();
    socket.send(Buffer.from([0x22, 0xff, 0xfe, 0x22]), { binary: false });
    const [code] = await once(socket, 'close');
    expect(code).toBe(1007);
  });

  test('a ping of up to 125 bytes comes back as a pong with the same bytes', async () => {
    const { socket } = await connect();
    for (const payload of ['', 'hello', 'x'.repeat(125)]) {
      socket.ping(payload);
      const [data] = await once(socket, 'pong');
      expect(data.toString()).toBe(payload);
    }
    socket.close();
  });

  test('a refusal by jobs carries its code and the time to wait', async () => {
    server.jobs.refusal = new AppError('queue_full', 'The queue is full.', { limit: 1000, retryAfterMs: 5000 });
    const { socket, send, next } = await connect();
    send({ type: 'create_job', task_type: 'text_to_image', request_id: 'r', params: { prompt: 'full' } });
    expect(await next()).toEqual({ type: 'error', message: 'The queue is full.', request_id: 'r', code: 'queue_full', retry_after_ms: 5000 });
    server.jobs.refusal = new Error('a secret of the inside');
    send({ type: 'create_job', task_type: 'text_to_image', request_id: 'r', params: { prompt: 'broken' } });
    const error = await next();
    expect(error).toMatchObject({ type: 'error', code: 'internal', request_id: 'r' });
    expect(JSON.stringify(error)).not.toContain('secret');
    server.jobs.refusal = null;
    socket.close();
  });
});

describe('the limits of a socket', () => {
  test('a frame of 64 KiB is read, one byte more closes with 1009', async () => {
    const { socket, send, next } = await connect();
    const frame = (bytes: number): string => `{"type":"watch","pad":"${'x'.repeat(bytes - 25)}"}`;
    expect(Buffer.byteLength(frame(65_536))).toBe(65_536);
    send(frame(65_536));
    expect(await next()).toMatchObject({ type: 'watching' });
    send(frame(65_537));
    const [code] = await once(socket, 'close');
    expect(code).toBe(1009);
    await expect.poll(() => server.logLines.filter((line) => JSON.parse(line)['code'] === 'frame_too_large')).toHaveLength(1);
  });

  test('a message in too many fragments closes with 1008', async () => {
    const { socket } = await connect();
    for (let i = 0; i < 100; i++) socket.send('x', { fin: false });
    const [code] = await once(socket, 'close');
    expect(code).toBe(1008);
  });

  test.for([
    ['?client_id=', 'bad_client_id'],
    [`?client_id=${'x'.repeat(129)}`, 'bad_client_id'],
    ['?client_id=a%00b', 'bad_client_id'],
    ['?client_id=a%0Ab', 'bad_client_id'],
    ['?client_id=%E2%80%A8', 'bad_client_id'],
    ['?client_id=a&client_id=b', 'bad_client_id'],
    ['?client_id=a&since=-1', 'bad_param'],
    ['?client_id=a&since=x', 'bad_param'],
    ['?since=1&since=2', 'bad_param'],
  ] as const)('%s is refused before the 101', async ([query, code]) => {
    expect(await refusedUpgrade(query)).toMatchObject({ status: 400, body: { code } });
  });

  test('a slash at the end of the address is the same address', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/api/ws/?client_id=slash`);
    await once(socket, 'open');
    socket.close();
  });

  test('128 letters of any script are a client_id', async () => {
    const { socket } = await connect(`?client_id=${encodeURIComponent('猫'.repeat(128))}`);
    expect([...server.jobs.connections].some(({ caller }) => caller.clientId === '猫'.repeat(128))).toBe(true);
    socket.close();
  });

  test('a reader that is too slow is cut, and the others are not', async () => {
    const tight = await startStudioServer({ socketLimits: { bufferedBytes: 1_000_000, closeMs: 50 } });
    const [slow, quick] = [await connect('', tight), await connect('', tight)];
    slow.socket.pause();
    const message: ServerMessage = { type: 'error', code: 'internal', message: 'x'.repeat(100_000) };
    // one at a time, as fast as the quick reader takes them, until the slow one is gone
    for (let sent = 0; tight.jobs.connections.size === 2 && sent < 2000; sent++) {
      tight.jobs.broadcast(message);
      await quick.next();
    }
    expect(tight.jobs.connections.size).toBe(1);
    quick.send({ type: 'watch' });
    expect(await quick.next()).toMatchObject({ type: 'watching' });
    expect(tight.logLines.join('')).toContain('slow_reader');
    await tight.close();
  });

  test('a reader that is cut and reads on comes to the reason', async () => {
    const patient = await startStudioServer({ socketLimits: { bufferedBytes: 1_000_000, closeMs: 60_000 } });
    const [slow, quick] = [await connect('', patient), await connect('', patient)];
    slow.socket.pause();
    while (!patient.logLines.join('').includes('slow_reader')) {
      patient.jobs.broadcast({ type: 'error', code: 'internal', message: 'x'.repeat(100_000) });
      await quick.next();
    }
    slow.socket.resume();
    const [code, reason] = await once(slow.socket, 'close');
    expect([code, reason.toString()]).toEqual([1008, 'slow_reader: too much was left unread']);
    await patient.close();
  });

  test('a peer that does not answer pings is cut, one that does stays', async () => {
    const nervous = await startStudioServer({ socketLimits: { pingMs: 100 } });
    const alive = await connect('', nervous);
    const dead = new WebSocket(`ws://127.0.0.1:${nervous.port}/api/ws`, { autoPong: false });
    const [code] = await once(dead, 'close');
    expect(code).toBe(1006);
    alive.send({ type: 'watch' });
    expect(await alive.next()).toMatchObject({ type: 'watching' });
    await nervous.close();
  });

  test('no more sockets than allowed', async () => {
    const small = await startStudioServer({ socketLimits: { sockets: 1 } });
    await connect('', small);
    const second = new WebSocket(`ws://127.0.0.1:${small.port}/api/ws`);
    second.on('error', () => {});
    const [, response] = await once(second, 'unexpected-response');
    expect(response.statusCode).toBe(429);
    let body = '';
    for await (const part of response) body += part;
    expect(JSON.parse(body)).toMatchObject({ code: 'too_many_connections', limit: 1 });
    await small.close();
  });

  test('another machine that sends too much gets retry_after_ms, and is served after that time', async () => {
    const headers = { 'x-forwarded-for': '10.0.0.9', authorization: `Bearer ${server.accessKey.text()}` };
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/api/ws`, { headers });
    const answers: ServerMessage[] = [];
    socket.on('message', (data) => answers.push(serverMessageSchema.parse(JSON.parse(data.toString()))));
    await once(socket, 'open');
    for (let i = 0; i < 600; i++) socket.send('{"type":"watch"}');
    await expect.poll(() => answers.length).toBe(600);
    const refused = answers.filter((answer) => answer.type === 'error');
    expect(refused.length).toBeGreaterThan(50);
    for (const answer of refused) expect(answer).toMatchObject({ code: 'rate_limited', retry_after_ms: expect.any(Number) });
    await new Promise((resolve) => setTimeout(resolve, refused.at(-1)?.retry_after_ms));
    socket.send('{"type":"watch","request_id":"later"}');
    await expect.poll(() => answers.at(-1)).toMatchObject({ type: 'watching', request_id: 'later' });
    socket.close();
  });

  test('closing the server says 1001 and why', async () => {
    const brief = await startStudioServer();
    const { socket } = await connect('', brief);
    const closed = once(socket, 'close');
    await brief.close();
    const [code, reason] = await closed;
    expect([code, reason.toString()]).toEqual([1001, 'the server is shutting down']);
  });

  test('the jobs side hears when a connection ends', async () => {
    const before = server.jobs.connections.size;
    const { socket } = await connect();
    expect(server.jobs.connections.size).toBe(before + 1);
    socket.terminate();
    await expect.poll(() => server.jobs.connections.size).toBe(before);
  });
});
