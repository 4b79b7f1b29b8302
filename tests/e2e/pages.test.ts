import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as compile from '#main/cli/compile.ts';
import * as cuda from '#main/cli/cuda.ts';
import * as doctor from '#main/cli/doctor.ts';
import * as generate from '#main/cli/generate.ts';
import * as mcp from '#main/cli/mcp.ts';
import * as models from '#main/cli/models.ts';
import * as parity from '#main/cli/parity.ts';
import * as zimage from '#main/cli/run.ts';
import * as verify from '#main/cli/verify.ts';
import * as server from '#main/config/config.ts';
import { clientMessageSchema } from '#shared/protocol/messages.ts';

/**
 * Runs what the pages show, from their text, in a fresh clone with its default folders. A comment before a block, `<!-- needs the network: WORD WORD -->`
 * (or a card, or a package), names the words of the lines that cannot run here; of those, and of commands with placeholders, names and options are checked.
 */

const root = resolve(import.meta.dirname, '../..');
const pages = ['README.md', 'README.zh-CN.md', ...readdirSync(join(root, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : []))];
const commands = { generate, models, cuda, doctor, compile, parity, verify };
const isCommand = (name: string): name is keyof typeof commands => name in commands;
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

interface Shown {
  page: string;
  language: string;
  text: string;
  /** Words of lines that need something that is not here. */
  skipped: string[];
}

function blocksOf(page: string): Shown[] {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/((?:^<!-- needs [^>]*-->\n)*)^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, markers = '', language = '', block = '']) => ({
    page,
    language,
    text: block,
    skipped: [...markers.matchAll(/: ([^>]*?) -->/g)].flatMap(([, words = '']) => words.split(' ')),
  }));
}

const blocks = pages.flatMap(blocksOf);
const linesOf = ({ text }: Shown): string[] => text.split('\n').flatMap((line) => line.replace(/\s+#.*$/, '').trim() || []);
const shellLines = blocks.filter(({ language }) => language === 'bash').flatMap((block) => linesOf(block).map((line) => ({ ...block, line })));
const inline = pages.flatMap((page) =>
  [
    ...readFileSync(join(root, page), 'utf8')
      .replace(/^```[\s\S]*?^```$/gm, '')
      .matchAll(/`([^`\n]+)`/g),
  ].map(([, line = '']) => ({ page, line })),
);
const isForHere = (line: string): boolean => /^(npm run|bash [\w/]+\.sh)\b/.test(line);
const shown = [...shellLines, ...inline.filter(({ line }) => isForHere(line))];
const hasPlaceholder = (line: string): boolean => /(^|[ =[])[A-Z]{3,}\b|…/.test(line);
const canRun = ({ line, skipped }: { line: string; skipped: string[] }): boolean =>
  !hasPlaceholder(line) && !skipped.some((word) => line.split(' ').includes(word));
const runnable = [...new Set([...shellLines.filter(canRun).map(({ line }) => line), ...inline.map(({ line }) => line).filter(isOwnCommand)])];

/** A whole command of ours in the text that needs neither the network nor a card. */
function isOwnCommand(line: string): boolean {
  const [, name = ''] = /^npm run (\w+)/.exec(line) ?? [];
  return isCommand(name) && !hasPlaceholder(line) && !/ (install|auto)\b/.test(line) && name !== 'parity' && (line.includes(' -- ') || name === 'doctor');
}

test('the pages show something to run', () => {
  expect(shellLines.length).toBeGreaterThan(15);
  expect(runnable).toEqual(expect.arrayContaining(['bash start.sh', 'npm run doctor', 'npm run models -- list']));
  expect(runnable.some((line) => line.startsWith('npm run generate'))).toBe(true);
});

test('every command exists', () => {
  const unknown = shown.filter(({ line }) => {
    const [, script] = /^npm run (?:--silent )?([\w:-]+)/.exec(line) ?? [];
    const [, file] = /^bash ([\w/.]+)/.exec(line) ?? [];
    return (script !== undefined && !(script in scripts)) || (file !== undefined && !existsSync(join(root, file)));
  });
  expect(unknown).toEqual([]);
});

test('every word after a command is one that it knows', () => {
  const unknown = shown.filter(({ line }) => {
    const [, name = '', word] = /^npm run (models|cuda) -- ([a-z]+)/.exec(line) ?? [];
    return isCommand(name) && word !== undefined && !commands[name].usage.includes(`\n  ${word} `);
  });
  expect(unknown).toEqual([]);
});

test('every option is in the schema of its command, or of the server', () => {
  const unknown = shown.flatMap(({ page, line }) => {
    const [, name = ''] = /^npm run (\w+)/.exec(line) ?? [];
    const schema = isCommand(name) ? commands[name].optionsSchema : line.startsWith('bash start.sh') ? server.optionsSchema : null;
    const options = [...line.matchAll(/(?<= )--([a-z][a-z-]*)/g)].map(([, option = '']) => option);
    return schema === null ? [] : options.filter((option) => !(option in schema.shape) && option !== 'help').map((option) => `${page}: ${name} --${option}`);
  });
  expect(unknown).toEqual([]);
});

test('every option that a table or sentence names alone belongs to the server or one of the commands', () => {
  const known = new Set([server, zimage, mcp, ...Object.values(commands)].flatMap(({ optionsSchema }) => Object.keys(optionsSchema.shape)));
  const unknown = inline.flatMap(({ page, line }) => {
    const [, option] = /^--([a-z][a-z-]*)( [A-Z.…][\w:.…]*| [a-z]+)?$/.exec(line) ?? [];
    return option === undefined || known.has(option) ? [] : [`${page}: --${option}`];
  });
  expect(unknown).toEqual([]);
});

test('every variable of ours is one that the server or zimage reads', () => {
  const options = [...Object.keys(server.optionsSchema.shape), ...Object.keys(zimage.optionsSchema.shape)];
  const known = new Set(options.map((option) => `ZIMAGE_${option.toUpperCase().replaceAll('-', '_')}`));
  const named = pages.flatMap((page) => [...readFileSync(join(root, page), 'utf8').matchAll(/\bZIMAGE_[A-Z_]+/g)].map(([name]) => `${page}: ${name}`));
  expect(named.length).toBeGreaterThan(0);
  expect(named.filter((name) => !known.has(name.split(' ')[1] ?? ''))).toEqual([]);
});

test('every message is one that the server understands', () => {
  const messages = blocks.filter(({ language, text }) => language === 'json' && text.includes('"type"')).flatMap(linesOf);
  expect(messages.length).toBeGreaterThan(0);
  for (const message of messages) expect(clientMessageSchema.safeParse(JSON.parse(message))).toMatchObject({ success: true });
});

describe('in a fresh clone', () => {
  const isClone = existsSync(join(root, '.git'));
  let clone: string;
  let running: ChildProcess | null = null;

  beforeAll(() => {
    if (!isClone) return;
    clone = join(mkdtempSync(join(tmpdir(), 'pages-')), 'clone');
    execFileSync('git', ['clone', '--quiet', root, clone]);
    symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'));
    if (!existsSync(join(root, 'out/.built'))) return;
    // the build of these sources need not be made twice
    for (const part of ['main', 'preload', 'renderer', 'swagger-ui', '.built']) cpSync(join(root, 'out', part), join(clone, 'out', part), { recursive: true });
    const now = new Date();
    utimesSync(join(clone, 'out/.built'), now, now);
  }, 120_000);
  afterAll(() => {
    running?.kill();
    if (isClone) rmSync(resolve(clone, '..'), { recursive: true, force: true });
  });

  test.skipIf(!isClone).each(runnable.filter((line) => !line.startsWith('bash start.sh')))('%s', { timeout: 600_000 }, (line) => {
    const { status, stdout, stderr } = spawnSync('bash', ['-c', line], { cwd: clone, encoding: 'utf8', env: userEnvironment() });
    expect(status, stderr).toBe(0);
    expect(stdout.trim()).not.toBe('');
    if (line.startsWith('npm run generate')) expect(readdirSync(join(clone, 'outputs'))).toContainEqual(expect.stringMatching(/\.png$/));
  });

  test.skipIf(!isClone)('bash start.sh serves, and the JavaScript of each page gets its image', { timeout: 600_000 }, async () => {
    // images of the commands above would answer some pages at once
    for (const folder of ['outputs', 'data']) rmSync(join(clone, folder), { recursive: true, force: true });
    // only the port is another one, so that a server that runs here already is not in the way
    const child = spawn('bash', ['-c', 'exec bash start.sh'], {
      cwd: clone,
      env: { ...userEnvironment(), ZIMAGE_PORT: '0' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    running = child;
    let port = '';
    for await (const line of createInterface({ input: child.stdout })) {
      port = /^ready http:.*:(\d+)$/.exec(line)?.[1] ?? '';
      if (port !== '') break;
    }
    const snippets = blocks.filter(({ language }) => language === 'js');
    expect(snippets.length).toBeGreaterThan(1);
    const heard: string[][] = [];
    for (const { text } of snippets) heard.push(await statusesOf(text.replaceAll('localhost:8004', `localhost:${port}`)));
    expect(heard.map((statuses) => statuses.at(-1))).toEqual(snippets.map(() => 'completed'));
    // pages that request the same image get the one that is there already
    expect(heard.flat()).toContain('pending');
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });

  async function statusesOf(code: string): Promise<string[]> {
    const client = spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: ['ignore', 'pipe', 'inherit'] });
    const statuses: string[] = [];
    for await (const line of createInterface({ input: client.stdout })) {
      const { status, error } = JSON.parse(line) as { status?: string; error?: unknown };
      if (status !== undefined) statuses.push(status);
      if (status === 'completed' || status === 'failed' || error) break;
    }
    client.kill();
    return statuses;
  }
});

/** Without what the test run itself adds. */
function userEnvironment(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter((name) => !/^(npm_|NODE_|VITEST|ZIMAGE_)/.test(name));
  return { ...Object.fromEntries(names.map((name) => [name, process.env[name]])), HF_HOME: join(tmpdir(), 'pages-no-models') };
}
