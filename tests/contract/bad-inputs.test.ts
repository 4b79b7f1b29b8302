import { on, once } from 'node:events';
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type ServerMessage, serverMessageSchema } from '#shared/protocol/messages.ts';
import { StudioProcess } from '../support/studio-process.ts';
import { handshakeRows } from './handshakes.ts';
import { framingRows } from './http-framing.ts';
import { requestRows } from './http-requests.ts';
import { messageRows } from './messages.ts';
import { paramRows } from './params.ts';
import { exchange, lines } from './raw-http.ts';
import { converse } from './raw-websocket.ts';
import { frameRows } from './websocket-frames.ts';

/** Sends all tables of bad inputs to one running server, and then checks that nothing in the server has changed. */

const AT_ONCE = 8;
/** Heap growth allowed per pass over all rows; a leak of 1.5 KB per row exceeds it. */
const KEPT_BYTES = 1024 * 1024;

let server: StudioProcess;
let url: string;

beforeAll(async () => {
  server = await StudioProcess.start();
  url = `http://127.0.0.1:${server.port}`;
});
afterAll(() => server.dispose());

/** For each row with a wrong answer, a line with the row and both answers. */
async function wrongAnswers<Row extends readonly unknown[]>(
  rows: readonly Row[],
  judge: (row: Row) => Promise<{ met: unknown; right: unknown }>,
): Promise<string[]> {
  const wrong: string[] = [];
  const queue = rows.values();
  const work = async () => {
    for (const row of queue) {
      const { met, right } = await judge(row);
      if (JSON.stringify(met) !== JSON.stringify(right))
        wrong.push(`${String(row[0])}, ${String(row[1]).slice(0, 60)}: ${JSON.stringify(met)}, not ${JSON.stringify(right)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return wrong;
}

/** Sends each frame on one connection; its answer is everything before the answer to the `watch` that follows it. */
async function answersTo(frames: readonly (string | Buffer)[]): Promise<ServerMessage[][]> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/ws`);
  await once(socket, 'open');
  const messages = on(socket, 'message', { close: ['close'] });
  const answers: ServerMessage[][] = [];
  for (const [index, frame] of frames.entries()) {
    socket.send(frame);
    socket.send(JSON.stringify({ type: 'watch', request_id: `behind ${index}` }));
    answers.push(await readUntil(messages, `behind ${index}`));
  }
  socket.close();
  return answers;
}

async function readUntil(messages: AsyncIterator<Buffer[]>, requestId: string): Promise<ServerMessage[]> {
  const before: ServerMessage[] = [];
  for (;;) {
    const { value, done } = await messages.next();
    if (done === true) throw new Error(`the server closed the connection at ${requestId}`);
    const message = serverMessageSchema.parse(JSON.parse(String(value[0])));
    if (message.type === 'watching' && message.request_id === requestId) return before;
    before.push(message);
  }
}

const tables: { name: string; rows: number; run: () => Promise<string[]> }[] = [
  {
    name: 'HTTP framing',
    rows: framingRows.length,
    run: () =>
      wrongAnswers(framingRows, async ([, bytes, statuses, code]) => {
        const met = await exchange(server.port, bytes);
        return { met: [met.statuses, code && met.code], right: [statuses, code] };
      }),
  },
  {
    name: 'HTTP requests',
    rows: requestRows.length,
    run: () =>
      wrongAnswers(requestRows, async ([, method, path, status, code, { field, headers = [], body } = {}]) => {
        const sized = body === undefined || headers.some((header) => header.startsWith('Content-Length')) ? [] : [`Content-Length: ${body.length}`];
        const met = await exchange(server.port, lines([`${method} ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers, ...sized], body));
        return { met: [met.statuses, met.code, met.field], right: [[status], code, field] };
      }),
  },
  {
    name: 'handshakes',
    rows: handshakeRows.length,
    run: () =>
      wrongAnswers(handshakeRows, async ([, query, headers, status, code]) => {
        const met = await exchange(server.port, lines([`GET /api/ws${query} HTTP/1.1`, ...headers]));
        return { met: [met.statuses, met.code], right: [[status], code] };
      }),
  },
  {
    name: 'WebSocket frames',
    rows: frameRows.length,
    run: () =>
      wrongAnswers(frameRows, async ([, bytes, right, answers = []]) => {
        const met = await converse(server.port, Buffer.isBuffer(bytes) ? [bytes] : bytes);
        const types = met.messages.map((message) => serverMessageSchema.parse(message).type);
        return { met: [met.closed, types], right: [right, answers] };
      }),
  },
  {
    name: 'messages',
    rows: messageRows.length,
    run: async () => {
      const answers = await answersTo(messageRows.map(([, frame]) => frame));
      return wrongAnswers(messageRows, async ([name, , code, field, requestId]) => {
        const [met, ...more] = answers[messageRows.findIndex(([other]) => other === name)] ?? [];
        const error = met?.type === 'error' ? met : undefined;
        return { met: [error?.code, error?.field, error?.request_id, more.length], right: [code, field, requestId, 0] };
      });
    },
  },
  {
    name: 'params',
    rows: paramRows.length,
    run: async () => {
      const messages = paramRows.map(([param, , json]) => {
        const prompt = param === 'prompt' ? '' : '"prompt":"p",';
        return `{"type":"create_job","task_type":"text_to_image","request_id":7,"params":{${prompt}"${param}":${json}}}`;
      });
      const answers = await answersTo(messages);
      return wrongAnswers(paramRows, async (row) => {
        const [met, ...more] = answers[paramRows.indexOf(row)] ?? [];
        const error = met?.type === 'error' ? met : undefined;
        return { met: [error?.code, error?.field, error?.request_id, more.length], right: ['bad_param', row[0], 7, 0] };
      });
    },
  },
];

async function ask(path: string): Promise<unknown> {
  return (await fetch(`${url}${path}`)).json();
}

async function everything(): Promise<unknown> {
  // a cache of hashes, also of models that a refused job names
  const files = readdirSync(server.dataDir, { recursive: true, encoding: 'utf8' }).filter((file) => file !== 'identities.json');
  return {
    jobs: await ask('/api/jobs'),
    bin: await ask('/api/jobs?deleted=true'),
    queue: await ask('/api/queue'),
    settings: await ask('/api/settings'),
    files: files.sort(),
  };
}

let before: unknown;

test('there are at least 400 rows, each with a unique name', async () => {
  expect(tables.reduce((sum, { rows }) => sum + rows, 0)).toBeGreaterThanOrEqual(400);
  for (const rows of [framingRows, requestRows, handshakeRows, frameRows, messageRows]) expect(new Set(rows.map(([name]) => name)).size).toBe(rows.length);
  expect(new Set(paramRows.map(([param, name]) => `${param} ${name}`)).size).toBe(paramRows.length);
  before = await everything();
});

test.for(tables)('$name: $rows rows are answered as they must be', async ({ run }) => {
  expect(await run()).toEqual([]);
});

test('afterwards the server still serves, nothing has changed, and a second pass leaks no memory', async () => {
  expect(await ask('/api/health')).toEqual({ status: 'ok' });
  expect(await everything()).toEqual(before);
  expect(server.output).toBe('');
  const { heapUsed } = await server.memory();
  for (const { run } of tables) await run();
  expect((await server.memory()).heapUsed - heapUsed).toBeLessThan(KEPT_BYTES);
});
