import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import type { ProcessExit } from './engine-process.ts';
import { createNodeSpawn } from './spawn-node.ts';

const folder = mkdtempSync(join(tmpdir(), 'spawn-'));
afterAll(() => rmSync(folder, { recursive: true }));

function entry(name: string, source: string): string {
  const path = join(folder, name);
  writeFileSync(path, source);
  return path;
}

test('telemetry is off, bytes and messages pass both ways, lines and the exit are reported', async () => {
  const source = `
    process.on('message', (order) => {
      console.error('first line\\nlast words');
      process.send({ order, telemetry: process.env.ORT_DISABLE_TELEMETRY, inherited: process.env.MARK, rgb: new Uint8Array([1, 2]) }, () => process.exit(7));
    });`;
  const child = createNodeSpawn({ entry: entry('speak.mjs', source), env: (provider) => ({ MARK: provider }) })('cuda');
  const messages: unknown[] = [];
  const lines: string[] = [];
  child.onMessage((message) => messages.push(message));
  child.onOutput((line) => lines.push(line));
  child.send({ type: 'cancel', id: 1 });
  const exit = await new Promise<ProcessExit>((resolve) => child.onExit(resolve));
  expect(exit).toEqual({ code: 7, signal: null });
  expect(messages).toEqual([{ order: { type: 'cancel', id: 1 }, telemetry: '1', inherited: 'cuda', rgb: new Uint8Array([1, 2]) }]);
  expect(lines).toEqual(['first line', 'last words']);
  child.send({ type: 'cancel', id: 2 });
});

test('kill ends what hears no signal', async () => {
  const source = "process.on('SIGTERM', () => {}); process.send('up'); for (;;);";
  const child = createNodeSpawn({ entry: entry('deaf.mjs', source), env: () => ({}) })('cpu');
  child.onMessage(() => child.kill());
  const exit = await new Promise<ProcessExit>((resolve) => child.onExit(resolve));
  expect(exit).toEqual({ code: null, signal: 'SIGKILL' });
});

test('an entry that is not there is an exit like any other', async () => {
  const child = createNodeSpawn({ entry: join(folder, 'missing.mjs'), env: () => ({}) })('cpu');
  const exit = await new Promise<ProcessExit>((resolve) => child.onExit(resolve));
  expect(exit.code).toBe(1);
});

test.skipIf(process.platform === 'win32')('where the program has no file descriptors left, the exit says so', async () => {
  const source = `
    import { openSync } from 'node:fs';
    const { createNodeSpawn } = await import(process.argv[2]);
    process.stdout.write('');
    try {
      for (;;) openSync('/dev/null');
    } catch {}
    const child = createNodeSpawn({ entry: '/nowhere.mjs', env: () => ({}) })('cpu');
    child.onOutput(() => {});
    child.onExit(({ error }) => process.stdout.write(String(error?.code), () => process.exit(0)));`;
  const program = [entry('starved.mjs', source), join(import.meta.dirname, 'spawn-node.ts')];
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath, ...program]);
  expect(stdout).toBe('EMFILE');
});
