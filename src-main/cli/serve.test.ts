import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import WebSocket from 'ws';

const entry = join(import.meta.dirname, '../headless.ts');
const help = { status: 0, stdout: expect.stringContaining('--port NUMBER'), stderr: '' };
let folder: string;
let taken = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'headless-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

class Program {
  stdout = '';
  stderr = '';
  readonly process: ChildProcessByStdio<null, Readable, Readable>;

  constructor(args: readonly string[], env: Record<string, string> = {}) {
    this.process = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    this.process.stdout.on('data', (part) => {
      this.stdout += part;
    });
    this.process.stderr.on('data', (part) => {
      this.stderr += part;
    });
  }

  async end(): Promise<{ status: number | null; stdout: string; stderr: string }> {
    const [status] = await once(this.process, 'close');
    return { status, stdout: this.stdout, stderr: this.stderr };
  }

  /** The address of the line `ready`. */
  async ready(): Promise<string> {
    for (;;) {
      const url = /^ready (http:.+)$/m.exec(this.stdout)?.[1];
      if (url !== undefined) return url;
      if (this.process.exitCode !== null) throw new Error(`it ended: ${this.stderr}`);
      await once(this.process.stdout, 'data');
    }
  }
}

/** A data folder of its own for each start. */
function dataDir(): string {
  return join(folder, String(taken++));
}

const sentence = (text: string): string => text.trim().replace(/\n/g, '⏎');

test('--help prints the options and exits', async () => {
  expect(await new Program(['--help']).end()).toEqual(help);
});

test.for([
  ['--prot', '80'],
  ['--port', 'abc'],
  ['--device', 'gpu'],
])('%s %s: one sentence, exit status 2', async (args) => {
  const { status, stdout, stderr } = await new Program(args).end();
  expect([status, stdout]).toEqual([2, '']);
  expect(sentence(stderr)).toContain(args[0]);
  expect(sentence(stderr)).not.toContain('⏎');
});

test.for([
  [['--device', 'cuda'], 'cuda'],
  [['--checkpoint', '/no/such/checkpoint'], '/no/such/checkpoint'],
] as const)('%j: one sentence, exit status 1', async ([args, word]) => {
  const { status, stdout, stderr } = await new Program(['--port', '0', '--data-dir', dataDir(), ...args]).end();
  expect([status, stdout]).toEqual([1, '']);
  expect(sentence(stderr)).toContain(word);
  expect(sentence(stderr)).not.toContain('⏎');
});

test('a data folder where a file stands is one sentence', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const { status, stderr } = await new Program(['--port', '0', '--data-dir', join(file, 'x')]).end();
  expect(status).toBe(1);
  expect(sentence(stderr)).toMatch(/--data-dir\.?$/);
});

test('a taken port is one sentence', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const address = other.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const { status, stdout, stderr } = await new Program(['--host', '127.0.0.1', '--port', String(port), '--data-dir', dataDir()]).end();
  other.close();
  expect([status, stdout]).toEqual([1, '']);
  expect(sentence(stderr)).toContain(`Port ${port} is taken`);
  expect(sentence(stderr)).not.toContain('⏎');
});

test('it serves, keeps a second instance out, and says goodbye to its sockets at SIGTERM', async () => {
  const dir = dataDir();
  const first = new Program(['--host', '127.0.0.1', '--port', '0', '--data-dir', dir]);
  const url = await first.ready();
  expect(first.stdout).toBe(`ready ${url}\n`);
  expect(await (await fetch(`${url}/api/health`)).text()).toBe('{"status":"ok"}');

  const second = await new Program(['--port', '0', '--data-dir', dir]).end();
  expect([second.status, sentence(second.stderr)]).toEqual([1, expect.stringContaining('in use')]);

  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/ws`);
  await once(socket, 'open');
  const [closed, ended] = [once(socket, 'close'), first.end()];
  first.process.kill('SIGTERM');
  expect((await closed)[0]).toBe(1001);
  expect((await ended).status).toBe(0);
});

test('variables of other programs and of single features do not stop the start; SIGHUP is a clean end', async () => {
  const program = new Program(['--host', '127.0.0.1', '--port', '0', '--data-dir', `${dataDir()}`], {
    ZIMAGE_PORT: 'tcp://10.0.0.1:8004',
    ZIMAGE_LOG_LEVEL: 'info\r',
    ZIMAGE_WHEEL_INDEX: 'pypi',
    HTTPS_PROXY: 'gopher://proxy',
    HTTP_PROXY: 'proxy.corp:3128',
    HF_ENDPOINT: 'nowhere',
    NODE_UNIQUE_ID: '1',
  });
  const url = await program.ready();
  expect(program.stderr).toContain('ZIMAGE_PORT is tcp://10.0.0.1:8004');
  expect((await fetch(`${url}/api/models`)).status).toBe(200);
  program.process.stdout.destroy();
  program.process.stderr.destroy();
  const ended = once(program.process, 'exit');
  program.process.kill('SIGHUP');
  expect(await ended).toEqual([0, null]);
});

test.skipIf(process.platform !== 'linux')('a signal during the start ends it cleanly', async () => {
  const program = new Program(['--host', '127.0.0.1', '--port', '0', '--data-dir', dataDir()]);
  const ended = program.end();
  // the lowest bit of the caught signals is SIGHUP, which Node itself leaves alone
  const proc = (file: string): string => readFileSync(`/proc/${program.process.pid}/${file}`, 'utf8');
  const isCaught = () => proc('cmdline').includes('headless') && /^SigCgt:\s*[0-9a-f]*[13579bdf]$/m.test(proc('status'));
  await vi.waitFor(() => expect(isCaught()).toBe(true), { timeout: 30_000, interval: 5 });
  program.process.kill('SIGTERM');
  expect(await ended).toMatchObject({ status: 0, stdout: '' });
});

test('a second signal ends it at once, though a socket has not said goodbye yet', async () => {
  const program = new Program(['--host', '127.0.0.1', '--port', '0', '--data-dir', dataDir()]);
  const { port } = new URL(await program.ready());
  const silent = connect(Number(port), '127.0.0.1');
  silent.write(
    'GET /api/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  await once(silent, 'data');
  silent.on('error', () => {});
  const ended = program.end();
  program.process.kill('SIGTERM');
  while (!program.stderr.includes('a second signal ends at once')) await once(program.process.stderr, 'data');
  program.process.kill('SIGTERM');
  // the first signal alone ends with 0, after a second of waiting for that socket
  expect((await ended).status).toBe(143);
  silent.destroy();
});

test('open to other machines it prints the access key before it is ready; --new-key writes another', async () => {
  const dir = dataDir();
  const program = new Program(['--data-dir', dir], { ZIMAGE_PORT: '0' });
  await program.ready();
  const key = /^access key for other machines: ([\w-]{32})\nready http:\/\/0\.0\.0\.0:\d+\n$/.exec(program.stdout)?.[1];
  expect(key).toBe(readFileSync(join(dir, 'access-key'), 'utf8').trim());
  expect(program.stderr).not.toContain(String(key));

  const fresh = await new Program(['--new-key', '--data-dir', dir]).end();
  expect(fresh.status).toBe(0);
  expect(readFileSync(join(dir, 'access-key'), 'utf8').trim()).not.toBe(key);
  expect(fresh.stdout).toContain(readFileSync(join(dir, 'access-key'), 'utf8').trim());

  const ended = program.end();
  program.process.kill('SIGINT');
  expect((await ended).status).toBe(0);
});

test.skipIf(process.platform !== 'linux')("the engine's process does not get the token of Hugging Face", async () => {
  const program = new Program(['--host', '127.0.0.1', '--port', '0', '--data-dir', dataDir()], { HF_TOKEN: 'hf_secret', ZIMAGE_LOG_LEVEL: 'info' });
  const socket = new WebSocket(`${(await program.ready()).replace('http', 'ws')}/api/ws`);
  await once(socket, 'open');
  socket.send(JSON.stringify({ type: 'create_job', task_type: 'text_to_image', params: { prompt: 'a cat', width: 256, height: 256 } }));
  // after pino's own, the engine's
  const engine = /"pid":(\d+)(?:,"device":"\w+")?,"msg":"engine process started"/;
  while (!engine.test(program.stderr)) await once(program.process.stderr, 'data');
  const environment = readFileSync(`/proc/${engine.exec(program.stderr)?.[1]}/environ`, 'utf8');
  expect(environment).toContain('ORT_DISABLE_TELEMETRY=1');
  expect(environment).not.toMatch(/HF_TOKEN|hf_secret/);
  expect(program.stderr).not.toContain('hf_secret');
  const ended = program.end();
  program.process.kill('SIGTERM');
  await ended;
});

test('--open prints no key', async () => {
  const program = new Program(['--port', '0', '--open', '--data-dir', dataDir()]);
  await program.ready();
  expect(program.stdout).not.toContain('key');
  const ended = program.end();
  program.process.kill('SIGTERM');
  await ended;
});

test('a device that the settings name and that is not here counts as auto; one of the command line ends the start', async () => {
  const dir = dataDir();
  mkdirSync(dir);
  writeFileSync(join(dir, 'settings.json'), '{"device":"cuda:77"}');
  const program = new Program(['--port', '0', '--host', '127.0.0.1', '--data-dir', dir]);
  const url = await program.ready();
  const info = await (await fetch(`${url}/api/info`)).json();
  expect(info.engine.device).toMatch(/^(cpu|cuda:\d)$/);
  expect(info.engine.devices[0]).toMatchObject({ device: info.engine.device, state: 'stopped' });
  expect(await (await fetch(`${url}/api/settings`)).json()).toMatchObject({ device: 'cuda:77', fixed: [] });
  program.process.kill('SIGTERM');
  const { stderr } = await program.end();
  expect(stderr).toContain('The device cuda:77 cannot be used');

  const insisting = await new Program(['--port', '0', '--data-dir', dir, '--device', 'cuda:77']).end();
  expect(insisting.status).toBe(1);
  expect(insisting.stderr).toContain('The device cuda:77 cannot be used');
});
