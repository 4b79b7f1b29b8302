import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { FAKE_ENGINE_VARIABLE } from '../fakes/fake-fault.ts';
import { HeadlessProcess } from '../support/headless-process.ts';
import { SocketClient } from '../support/socket-client.ts';

const preload = resolve(import.meta.dirname, 'server-preload.ts');
const isWindows = process.platform === 'win32';

/** Opens a socket that stays idle. Resolves with the HTTP status of the answer. */
async function handshake(url: string): Promise<number> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/ws`);
  onTestFinished(() => socket.terminate());
  const refused = once(socket, 'unexpected-response').then(([, { statusCode }]) => Number(statusCode));
  return Promise.race([once(socket, 'open').then(() => 101), refused]);
}

test.skipIf(isWindows)('more idle sockets than the process may open files: the surplus is refused, and a job still completes', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'open-files-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 }));
  const env = { [FAKE_ENGINE_VARIABLE]: JSON.stringify({ stepMs: 0, busyThreads: 0, faults: [] }) };
  const server = new HeadlessProcess({ dataDir, preload, env, openFilesLimit: 256 });
  onTestFinished(() => server.end());
  const url = await server.ready;
  if (url === null) throw new Error(`the server did not start: ${server.log}`);
  const client = await SocketClient.open(url, 'first');

  const statuses = new Set<number>();
  for (let opened = 0; opened < 320; opened += 16) {
    const batch = await Promise.all(Array.from({ length: 16 }, () => handshake(url)));
    for (const status of batch) statuses.add(status);
  }
  expect(statuses).toEqual(new Set([101, 429]));

  expect(await client.make('an owl')).toMatchObject({ status: 'completed' });
  const info = await fetch(`${url}/api/info`);
  expect(info.status).toBe(200);
});
