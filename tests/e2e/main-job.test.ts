import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import sharp from 'sharp';
import { afterEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type ServerMessage, serverMessageSchema } from '#shared/protocol/messages.ts';
import { sharedPath } from '../support/shared-folder.ts';
import { type StartedServer, startServer } from '../support/start-script.ts';

/** The real program through `bash start.sh`: real server, real engine, the bundled checkpoint. */

const CHROMIUM = '/usr/bin/chromium';
const originalReadme = sharedPath('spec/original-readme.zh.md');
const steps = ['1/9', '2/9', '3/9', '4/9', '5/9', '6/9', '7/9', '8/9', '9/9'];

let server: StartedServer | null = null;
afterEach(async () => {
  await server?.stop();
  server = null;
});

function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '0.0.0.0', () => probe.close(() => resolve(true)));
  });
}

/** The complete JavaScript example of the original's README, unchanged. */
async function originalExample(): Promise<string> {
  const section = (await readFile(originalReadme, 'utf8')).split('### 完整 JavaScript 示例')[1] ?? '';
  const code = /```javascript\n([\s\S]*?)```/.exec(section)?.[1] ?? '';
  expect(code).toContain('ws://localhost:8004/api/ws');
  return code;
}

async function expectExampleOutput(lines: readonly string[]): Promise<void> {
  const statuses = lines.flatMap((line) => /^\[(\w+)\]/.exec(line)?.[1] ?? []);
  expect(statuses).toEqual(['pending', 'processing', 'generated', 'completed']);
  const progress = lines.flatMap((line) => /^进度: \d+% \((\d+\/\d+)\)/.exec(line)?.[1] ?? []);
  expect([...new Set(progress)].filter((step) => step !== '0/9')).toEqual(steps);
  const url = lines.map((line) => /^图片就绪: (\S+)$/.exec(line)?.[1]).find((found) => found !== undefined) ?? '';
  await expectPicture(url, 4096);
  await expectPicture(url.replace('-upscaled.png', '.png'), 1024);
}

async function expectPicture(url: string, sidePx: number): Promise<void> {
  const response = await fetch(url);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/png']);
  const image = sharp(Buffer.from(await response.arrayBuffer()));
  const { width, height } = await image.metadata();
  expect([width, height]).toEqual([sidePx, sidePx]);
  // the bundled checkpoint's cat sits under a blue sky, at every size
  const { data } = await image.resize(8, 8).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  expect(data[2]).toBeGreaterThan(data[0] ?? 255);
}

test.skipIf(!existsSync(originalReadme))("the original README's example runs unchanged under Node", async (context) => {
  context.skip(!(await isPortFree(8004)), 'port 8004, which the example names, is taken by another program');
  const code = await originalExample();
  server = await startServer('--port', '8004');
  const client = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  for await (const line of createInterface({ input: client.stdout })) {
    lines.push(line);
    if (line.startsWith('图片就绪')) break;
  }
  client.kill();
  await expectExampleOutput(lines);
});

test.skipIf(!existsSync(originalReadme) || !existsSync(CHROMIUM))("the original README's example runs unchanged in a browser page", async (context) => {
  context.skip(!(await isPortFree(8004)), 'port 8004, which the example names, is taken by another program');
  const code = await originalExample();
  server = await startServer('--port', '8004');
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  try {
    const page = await browser.newPage();
    await page.goto('http://localhost:8004/api/health');
    const lines: string[] = [];
    const finished = new Promise<void>((resolve) => {
      page.on('console', (message) => {
        lines.push(message.text());
        if (message.text().startsWith('图片就绪')) resolve();
      });
    });
    await page.evaluate(code);
    await finished;
    await expectExampleOutput(lines);
  } finally {
    await browser.close();
  }
});

test('the engine is killed in the middle: the job completes, its client sees no error, the server process stays', async () => {
  server = await startServer('--port', '0');
  const { pid } = server;
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/api/ws?client_id=kill`);
  const messages: ServerMessage[] = [];
  const killed: number[] = [];
  const completed = new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', (frame) => {
      const message = serverMessageSchema.parse(JSON.parse(frame.toString()));
      messages.push(message);
      if (message.type === 'job_progress' && message.progress.current_step === 10 && killed.length === 0) {
        // the engine is the server's only child
        const engine = Number(execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' }).trim());
        process.kill(engine, 'SIGKILL');
        killed.push(engine);
      }
      if (message.type === 'job_status' && (message.status === 'completed' || message.status === 'failed')) resolve();
    });
  });
  socket.on('open', () => {
    socket.send(
      JSON.stringify({
        type: 'create_job',
        task_type: 'text_to_image',
        request_id: 'k',
        params: { prompt: 'a blue robot in a forest', width: 256, height: 256, steps: 50 },
      }),
    );
  });
  await completed;
  socket.close();
  expect(killed).toHaveLength(1);
  expect(messages.filter(({ type }) => type === 'error')).toEqual([]);
  expect(messages.flatMap((message) => (message.type === 'job_status' ? message.status : []))).toEqual(['pending', 'processing', 'generated', 'completed']);
  const percentages = messages.flatMap((message) => (message.type === 'job_progress' ? message.progress.percentage : []));
  expect(percentages).toEqual([...percentages].sort((a, b) => a - b));
  expect(server.isRunning()).toBe(true);
  expect(execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' }).trim()).not.toBe(String(killed[0]));
});
