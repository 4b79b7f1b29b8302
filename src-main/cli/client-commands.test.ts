import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { StudioProcess } from '../../tests/support/studio-process.ts';
import { loadCommand } from './load-command.ts';

const entry = join(import.meta.dirname, 'main.ts');
let server: StudioProcess;
let folder: string;

beforeAll(async () => {
  server = await StudioProcess.start({ engine: { stepMs: 20 } });
});
afterAll(() => server.dispose());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zimage-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Variables of the server must not lead a command astray. */
const environment = (): Record<string, string | undefined> => ({
  ...process.env,
  ZIMAGE_DATA_DIR: server.dataDir,
  ZIMAGE_HOST: '0.0.0.0',
  ZIMAGE_PORT: '1',
  HTTP_PROXY: 'http://127.0.0.1:1',
});

function zimage(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [entry, ...args], { cwd: folder, env: environment(), encoding: 'utf8' });
}

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [entry, ...args], { cwd: folder, env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Resolves with the first match in a stream. */
async function matchIn(stream: NodeJS.ReadableStream | null, pattern: RegExp): Promise<RegExpExecArray> {
  let text = '';
  for await (const part of stream ?? []) {
    text += String(part);
    const match = pattern.exec(text);
    if (match !== null) return match;
  }
  throw new Error(`${pattern} is not in ${text}`);
}

test('a prompt makes numbered images and their 4x versions with consecutive seeds; standard output has only their names', () => {
  const { status, stdout, stderr } = zimage('a red fox', '-o', 'fox.png', '--seed', '7', '--size', '256x320', '-n', '2', '--steps', '2');
  expect([status, stderr.includes('seed 7, 8')]).toEqual([0, true]);
  const names = ['fox-1.png', 'fox-1-upscaled.png', 'fox-2.png', 'fox-2-upscaled.png'].map((name) => join(folder, name));
  expect(stdout.trim().split('\n').toSorted()).toEqual(names.toSorted());
  const header = readFileSync(join(folder, 'fox-1.png'));
  expect([header.readUInt32BE(16), header.readUInt32BE(20)]).toEqual([256, 320]);

  const shown = zimage('show', 'fox-2.png', '--json');
  expect(JSON.parse(shown.stdout)).toMatchObject({ role: 'original', params: { prompt: 'a red fox', seed: 8, steps: 2, width: 256, height: 320 } });
  expect(zimage('show', 'fox-2-upscaled.png').stdout).toMatch(/^prompt +a red fox$/m);
});

test('options may stand before the prompt; without --output the file has the name of the server', () => {
  const { status, stdout } = zimage('--size', '256x256', '--seed', '3', '--no-upscale', '--steps', '2', 'two words');
  expect(status).toBe(0);
  expect(readdirSync(folder)).toEqual([expect.stringMatching(/^\d{8}-two-words-\w{8}\.png$/)]);
  expect(stdout).toContain(folder);
});

test('--json writes every message of the server and every file as a line', () => {
  const { stdout, stderr } = zimage('run', 'lines', '--size', '256x256', '--seed', '4', '--steps', '2', '--json');
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines[0]).toMatchObject({ type: 'job_status', status: 'pending' });
  expect(lines.map(({ status }) => status).filter(Boolean)).toEqual(['pending', 'processing', 'generated', 'completed']);
  expect(lines.filter(({ type }) => type === 'saved')).toHaveLength(2);
  expect(lines.some(({ type }) => type === 'job_progress')).toBe(true);
  expect(stderr).toBe('');
});

test.for([
  [['run'], 'The prompt is missing'],
  [['a red', 'fox'], 'Put the prompt in quotes'],
  [['a fox', '--size', '1000x1000'], '--size'],
  [['a fox', '--size', '1024'], '--size'],
  [['a fox', '--steps', '99'], '--steps'],
  [['a fox', '-n', '0'], '--count'],
  [['a fox', '-o', 'fox.jpg'], 'must end in .png'],
  [['a fox', '--sead', '1'], '--sead'],
  [['stauts'], 'There is no command "stauts"'],
  [['queue', 'stop'], 'Usage: zimage queue'],
  [['cancel'], 'Usage: zimage cancel'],
  [['show'], 'Usage: zimage show'],
  [['completion', 'csh'], 'Usage: zimage completion'],
  [['status', '--url', 'ftp://x'], '--url is "ftp://x"'],
] as const)('%j is a wrong option', async ([[name, ...args], words]) => {
  const start = () => Promise.reject(new Error('a wrong option must not start a server'));
  const program = { starter: { version: () => '', checkoutDir: null, start }, own: {} };
  const run = async (): Promise<void> => (await loadCommand(name, program))(args);
  await expect(run()).rejects.toMatchObject({ code: 'bad_option', message: expect.stringContaining(words) });
});

test('verify sends files to the server: verdicts, JSON, exit status, and the image that one was made from', async () => {
  zimage('an image to verify', '-o', 'v.png', '--seed', '12', '--size', '256x256', '--steps', '2');
  const lines = vi.spyOn(console, 'log').mockImplementation(() => {});
  const errors = vi.spyOn(console, 'error').mockImplementation(() => {});
  onTestFinished(() => {
    vi.restoreAllMocks();
    process.exitCode = undefined;
  });
  const starter = { version: () => '', checkoutDir: null, start: () => Promise.reject(new Error('there is a server')) };
  const verify = async (...args: string[]) => {
    lines.mockClear();
    errors.mockClear();
    await (await loadCommand('verify', { starter, own: {} }))([...args, '--data-dir', server.dataDir]);
    return { status: process.exitCode, out: lines.mock.calls.map(([text]) => String(text)), errors: errors.mock.calls.map(([text]) => String(text)) };
  };
  const [file, missing, text] = [join(folder, 'v.png'), join(folder, 'missing.png'), join(folder, 'text.png')];
  writeFileSync(text, 'no image');
  expect(await verify('--repeat', file)).toEqual({ status: 0, out: [expect.stringMatching(/v\.png: .*Made here as .*identical\.$/)], errors: [] });
  const { status, out } = await verify(file, missing, text, '--json');
  expect([status, ...out.map((line) => JSON.parse(line))]).toMatchObject([
    1,
    { file, pixels: 'intact', repeat: null },
    { file: missing, error: { code: 'unknown_image' } },
    { file: text, error: { code: 'picture_damaged' } },
  ]);
  const unused = await verify(file, '--image', file);
  expect([unused.status, unused.errors]).toEqual([0, [expect.stringContaining('was not used')]]);
  await expect(verify(file, '--image', missing)).rejects.toMatchObject({ code: 'bad_option', message: expect.stringContaining(missing) });
  await expect(verify()).rejects.toMatchObject({ code: 'bad_option' });
});

test('a wrong option ends with exit status 2', () => {
  expect(zimage('stauts')).toMatchObject({ status: 2, stdout: '' });
});

test('status, ps, queue and cancel show and change the queue of the running server', async () => {
  expect(zimage('status').stdout).toMatch(/^queue +0 running, 0 waiting$/m);
  expect(zimage('queue', 'pause').stdout).toContain('paused');
  const waiting = start('a waiting job', '--size', '256x256', '--seed', '9');
  const exited = once(waiting, 'exit');
  await matchIn(waiting.stderr, /pending/);
  const listed = zimage('ps', '--json')
    .stdout.trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(listed).toMatchObject([{ status: 'pending', params: { prompt: 'a waiting job' } }]);
  expect(zimage('ps').stdout).toContain(listed[0].job_id.slice(0, 12));
  // it belongs to another client
  expect(zimage('cancel', listed[0].job_id.slice(0, 8))).toMatchObject({ status: 1, stderr: expect.stringContaining('other') });
  expect(zimage('cancel', 'ffff')).toMatchObject({ status: 1, stderr: expect.stringContaining('no unfinished job') });
  waiting.kill('SIGINT');
  expect((await exited)[0]).toBe(130);
  expect(zimage('ps').stdout).toBe('no jobs\n');
  expect(zimage('queue', 'resume', '--json').stdout).toContain('"paused":false');
});

test('a second Ctrl+C ends the command at once', async () => {
  zimage('queue', 'pause');
  const child = start('interrupted twice', '--size', '256x256', '--seed', '10');
  const exited = once(child, 'exit');
  await matchIn(child.stderr, /pending/);
  child.kill('SIGINT');
  child.kill('SIGINT');
  expect((await exited)[0]).toBe(130);
  expect(existsSync(join(folder, 'fox.png'))).toBe(false);
  zimage('queue', 'clear');
  zimage('queue', 'resume');
});

test('models lists them; pull and rm report what the server says', () => {
  expect(zimage('models').stdout).toMatch(/^storybook-uint4\S* .*installed/m);
  expect(zimage('rm', 'no-such-model')).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining('no-such-model') });
  expect(zimage('pull', 'not a repository').status).toBe(1);
});

test('an address that does not answer: exit status 1, and no server is started', () => {
  const { status, stderr } = zimage('a red fox', '--url', 'http://127.0.0.1:1');
  expect([status, stderr]).toEqual([1, expect.stringContaining('No server answers at http://127.0.0.1:1.')]);
});

test.skipIf(spawnSync('bash', ['-c', 'true']).status !== 0)('bash completes commands, their words and their options', () => {
  const complete = (line: string): string[] => {
    const words = line.split(' ');
    const script = `source <("${process.execPath}" "${entry}" completion bash); COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _zimage; echo "\${COMPREPLY[@]}"`;
    return spawnSync('bash', ['-c', script], { encoding: 'utf8' }).stdout.trim().split(' ');
  };
  expect(complete('zimage st')).toEqual(['status']);
  expect(complete('zimage queue p')).toEqual(['pause']);
  expect(complete('zimage cancel --j')).toEqual(['--json']);
  expect(complete('zimage verify --re')).toEqual(['--repeat']);
  expect(complete('zimage fox --no')).toEqual(['--no-upscale']);
});

test('zsh, fish and PowerShell get every command', () => {
  for (const shell of ['zsh', 'fish', 'powershell']) {
    const { stdout } = zimage('completion', shell);
    for (const name of ['status', 'queue', 'serve', 'completion']) expect(stdout).toContain(name);
  }
});
