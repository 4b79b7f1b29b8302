import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import type { ElectronApplication, Page } from 'playwright-core';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import type { DesktopBridge, DesktopCommand } from '#shared/protocol/desktop.ts';
import type { ServerMessage } from '#shared/protocol/messages.ts';
import { HeadlessProcess } from '../support/headless-process.ts';
import { type DesktopMachine, DesktopUser, desktopMachine, pageOf } from './desktop-app.ts';
import { isFinished, make, shownImages } from './window-page.ts';

declare global {
  interface Window {
    studioDesktop: DesktopBridge;
    heardCommands: DesktopCommand[];
    socketMessages: ServerMessage[];
    socket: WebSocket;
  }
}

const machine = await desktopMachine();
const isAbsent = typeof machine === 'string';
console.warn(isAbsent ? `the desktop tests are skipped: ${machine}` : `the desktop tests run in Electron ${machine.electron.version}`);

let user: DesktopUser;
beforeEach(({ skip }) => {
  if (typeof machine === 'string') return skip(machine);
  user = new DesktopUser(machine);
});
afterEach(() => user?.end());
afterAll(() => (machine as Partial<DesktopMachine>).display?.close());

/** Requests a small job over a WebSocket of the page; the page collects its messages. */
async function createJob(page: Page, params: Record<string, unknown>): Promise<void> {
  await page.evaluate((jobParams) => {
    window.socketMessages = [];
    window.socket = new WebSocket(`${location.origin.replace('http', 'ws')}/api/ws?client_id=desktop-test`);
    window.socket.onmessage = ({ data }) => window.socketMessages.push(JSON.parse(data));
    window.socket.onopen = () => window.socket.send(JSON.stringify({ type: 'create_job', task_type: 'text_to_image', params: jobParams }));
  }, params);
}

async function waitForStatus(page: Page, status: string): Promise<void> {
  await page.waitForFunction((wanted) => window.socketMessages.some((message) => message.type === 'job_status' && message.status === wanted), status, {
    timeout: 150_000,
    polling: 200, // polling by frames, the default, does not work in a hidden window
  });
}

const small = { prompt: 'a red fox in the snow, digital art', width: 256, height: 256, steps: 4, seed: 1 };
const long = { ...small, width: 1024, height: 1024, steps: 50 };

/** Answers message boxes as a user would, and records their questions. */
async function answerDialogs(app: ElectronApplication, response: number): Promise<void> {
  await app.evaluate(({ dialog }, answer) => {
    const asked: string[] = [];
    Reflect.set(globalThis, 'askedDialogs', asked);
    Reflect.set(dialog, 'showMessageBox', async (...args: unknown[]) => {
      const options: unknown = args.at(-1);
      asked.push(String(Reflect.get(Object(options), 'message')));
      return { response: answer, checkboxChecked: false };
    });
  }, response);
}
const askedDialogs = (app: ElectronApplication): Promise<string[]> => app.evaluate(() => Reflect.get(globalThis, 'askedDialogs') as string[]);

const isVisible = (app: ElectronApplication): Promise<boolean> => app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.isVisible() ?? false);

test('the window shows the page of its own server, which listens on this machine only', async () => {
  const app = await user.start();
  const page = await pageOf(app);
  expect(page.url()).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
  expect(await page.title()).toContain('Z-Image-Turbo Studio');
  expect(await page.locator('#root').textContent()).not.toBe('');
  expect(await page.evaluate(async () => (await fetch('/api/health')).json())).toEqual({ status: 'ok' });
  expect(await isVisible(app)).toBe(true);
});

test('an image is generated in the window, by an engine in a separate process; sleep is blocked only meanwhile', async () => {
  const app = await user.start();
  const page = await pageOf(app);
  await app.evaluate(({ BrowserWindow }) => {
    const shown: number[] = [];
    Reflect.set(globalThis, 'shownProgress', shown);
    Reflect.set(BrowserWindow.prototype, 'setProgressBar', (fraction: number) => shown.push(fraction));
  });
  const blockers = (): Promise<number> => app.evaluate(({ powerSaveBlocker }) => [0, 1, 2, 3, 4, 5].filter((id) => powerSaveBlocker.isStarted(id)).length);
  expect(await blockers()).toBe(0);
  await make(page, small.prompt, { size: '256' });
  await expect.poll(blockers).toBe(1);
  const engines = (): Promise<number> =>
    app.evaluate(({ app: electronApp }) => electronApp.getAppMetrics().filter(({ name, serviceName }) => `${name} ${serviceName}`.includes('Engine')).length);
  await expect.poll(engines).toBe(1);
  await isFinished(page);
  await expect.poll(blockers).toBe(0);
  const progress = await app.evaluate(() => Reflect.get(globalThis, 'shownProgress') as number[]);
  expect([progress.some((fraction) => fraction > 0 && fraction < 1), progress.at(-1)]).toEqual([true, -1]);
  const thumbnail = await page.evaluate(async () => {
    const { jobs } = await (await fetch('/api/jobs')).json();
    const { status, headers } = await fetch(`/api/image/${encodeURIComponent(jobs[0].result.filename)}?w=64`);
    return [status, headers.get('content-type')];
  });
  expect(thumbnail).toEqual([200, 'image/webp']);
  // sharp's native build bundles a GLib that clashes with Electron's: docs/decisions/images-by-sharp.md
  const pids = await app.evaluate(({ app: electronApp }) => electronApp.getAppMetrics().map(({ pid }) => pid));
  for (const pid of pids) expect(readFileSync(`/proc/${pid}/maps`, 'utf8')).not.toMatch(/vips|sharp/);
  expect(await shownImages(page)).toEqual([1024, 256]);
});

test('the engine process dies in the middle of a job: the job completes and the window gets no error', async () => {
  const app = await user.start();
  const page = await pageOf(app);
  await createJob(page, { ...small, steps: 20 });
  await page.waitForFunction(() => window.socketMessages.some((message) => message.type === 'job_progress' && message.progress.current_step >= 1), null, {
    timeout: 100_000,
  });
  await app.evaluate(({ app: electronApp }) => {
    for (const { name, serviceName, pid } of electronApp.getAppMetrics()) if (`${name} ${serviceName}`.includes('Engine')) process.kill(pid, 'SIGKILL');
  });
  await waitForStatus(page, 'completed');
  expect(await page.evaluate(() => window.socketMessages.filter(({ type }) => type === 'error').length)).toBe(0);
});

test("the engine calls ONNX Runtime's C API here too: a job is cancelled in the middle of its step, and the same process generates the next image", async () => {
  const app = await user.start();
  const page = await pageOf(app);
  await createJob(page, long);
  await page.waitForFunction(() => window.socketMessages.some((message) => message.type === 'job_progress' && message.progress.stage === 'generating'), null, {
    timeout: 150_000,
  });
  const engine = () =>
    app.evaluate(({ app: electron }) => electron.getAppMetrics().find(({ name, serviceName }) => `${name} ${serviceName}`.includes('Engine'))?.pid);
  const pid = await engine();
  const libraries = readFileSync(`/proc/${pid}/maps`, 'utf8');
  expect(libraries).toContain('koffi.node');
  expect(libraries).not.toContain('onnxruntime_binding.node');

  await page.evaluate(() => {
    const job = window.socketMessages.find((message) => message.type === 'job_status');
    window.socket.send(JSON.stringify({ type: 'cancel_job', job_id: job?.job_id }));
  });
  await waitForStatus(page, 'cancelled');
  await createJob(page, small);
  await waitForStatus(page, 'generated');
  expect(await engine()).toBe(pid);
});

test('a page that crashes is reloaded', async () => {
  const app = await user.start();
  await pageOf(app);
  await app.evaluate(({ BrowserWindow }) => {
    const contents = BrowserWindow.getAllWindows()[0]?.webContents;
    const seen: string[] = [];
    Reflect.set(globalThis, 'seenOfPage', seen);
    contents?.on('render-process-gone', () => seen.push('gone'));
    contents?.on('did-finish-load', () => seen.push('loaded'));
    contents?.forcefullyCrashRenderer();
  });
  await expect.poll(() => app.evaluate(() => Reflect.get(globalThis, 'seenOfPage')), { timeout: 20_000 }).toEqual(['gone', 'loaded']);
  const again = await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.webContents.executeJavaScript('document.title'));
  expect(again).toContain('Z-Image-Turbo Studio');
});

test('a page that keeps crashing is not left empty: the app asks the user', async () => {
  const app = await user.start();
  await pageOf(app);
  await answerDialogs(app, 0);
  await app.evaluate(({ BrowserWindow }) => {
    const contents = BrowserWindow.getAllWindows()[0]?.webContents;
    let crashes = 0;
    const crash = (): void => {
      if (crashes++ < 4) contents?.forcefullyCrashRenderer();
    };
    contents?.on('did-finish-load', crash);
    crash();
  });
  await expect.poll(() => askedDialogs(app), { timeout: 40_000 }).toEqual(['The window stopped working']);
  // the answer was to reload
  await expect
    .poll(() => app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.webContents.executeJavaScript('document.title')), { timeout: 20_000 })
    .toContain('Z-Image-Turbo Studio');
});

test('an uncaught error is logged; no message box stops the server', async () => {
  const app = await user.start();
  const page = await pageOf(app);
  let logged = '';
  app.process().stderr?.on('data', (bytes: Buffer) => {
    logged += bytes.toString();
  });
  await app.evaluate(() => {
    setTimeout(() => {
      throw new Error('thrown by a test');
    });
    void Promise.reject(new Error('rejected by a test'));
  });
  await expect.poll(() => ['thrown by a test', 'rejected by a test'].filter((text) => !logged.includes(text))).toEqual([]);
  expect(await page.evaluate(async () => (await fetch('/api/health')).json())).toEqual({ status: 'ok' });
});

test("the link to the API documentation opens in the system's browser", async () => {
  const app = await user.start();
  const page = await pageOf(app);
  await app.evaluate(({ shell }) => {
    Reflect.set(shell, 'openExternal', async (url: string) => Reflect.set(globalThis, 'openedOutside', url));
  });
  await page.evaluate(() => window.open('/docs', '_blank', 'noreferrer'));
  await expect.poll(() => app.evaluate(() => Reflect.get(globalThis, 'openedOutside'))).toBe(`${new URL(page.url()).origin}/docs`);
});

test('a second start passes its links and images on and quits', async () => {
  const app = await user.start('zimage://create?prompt=first');
  const page = await pageOf(app);
  await page.evaluate(() => {
    window.heardCommands = [];
    window.studioDesktop.onCommand((command) => window.heardCommands.push(command));
  });
  const image = join(user.folder, 'an image.png');
  writeFileSync(image, Buffer.from('89504e470d0a1a0a00000000', 'hex'));
  expect(await user.startAgain('zimage://create?prompt=a%20bear&seed=5', image)).toBe(0);
  await page.waitForFunction(() => window.heardCommands.length >= 2);
  const heard = await page.evaluate(() =>
    window.heardCommands.map((command) => (command.command === 'open_image' ? { ...command, png: [...command.png] } : command)),
  );
  expect(heard.slice(-2)).toEqual([
    { command: 'fill', params: { prompt: 'a bear', seed: 5 } },
    { command: 'open_image', name: 'an image.png', png: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0] },
  ]);
  expect(await isVisible(app)).toBe(true);
});

test('close to tray and back; without that setting, closing the window quits the app', async () => {
  const app = await user.start();
  const page = await pageOf(app);
  await page.evaluate(() => window.studioDesktop.ask({ call: 'changeSettings', change: { closeToTray: true } }));
  await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
  await expect.poll(() => isVisible(app)).toBe(false);
  expect(await page.evaluate(async () => (await fetch('/api/health')).status)).toBe(200);
  expect(await user.startAgain()).toBe(0);
  await expect.poll(() => isVisible(app)).toBe(true);

  await page.evaluate(() => window.studioDesktop.ask({ call: 'changeSettings', change: { closeToTray: false } }));
  const ended = app.waitForEvent('close');
  await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close());
  await ended;
});

test('the window opens where it was', async () => {
  const first = await user.start();
  await pageOf(first);
  await first.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.setBounds({ x: 120, y: 80, width: 900, height: 700 }));
  await first.close();
  const second = await user.start();
  await pageOf(second);
  expect(await second.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.getNormalBounds())).toEqual({ x: 120, y: 80, width: 900, height: 700 });
});

test('a window on a disconnected screen opens on a connected one, in a size that fits', async () => {
  writeFileSync(join(user.folder, 'window.json'), '{"0,0,9999,9999":{"bounds":{"x":1,"y":1,"width":500,"height":600},"maximized":false}}\n');
  const first = await user.start();
  await pageOf(first);
  // the same screens, with a position far outside, as after a screen moved to the other side
  const key = await first.evaluate(({ screen }) =>
    screen
      .getAllDisplays()
      .map(({ workArea: { x, y, width, height } }) => `${x},${y},${width},${height}`)
      .join(' '),
  );
  await first.close();
  writeFileSync(join(user.folder, 'window.json'), JSON.stringify({ [key]: { bounds: { x: 5000, y: 3000, width: 900, height: 700 }, maximized: false } }));
  const second = await user.start();
  await pageOf(second);
  const { bounds, area } = await second.evaluate(({ BrowserWindow, screen }) => ({
    bounds: BrowserWindow.getAllWindows()[0]?.getNormalBounds(),
    area: screen.getPrimaryDisplay().workArea,
  }));
  expect(bounds?.x).toBeLessThan(area.x + area.width - 64);
  expect(bounds?.y).toBeLessThan(area.y + area.height - 64);
  expect(bounds?.width).toBeLessThanOrEqual(area.width);
});

test('"reachable from the network" applies from the next start on: bound to every network, with a key for other machines', async () => {
  const first = await user.start();
  const page = await pageOf(first);
  const network = (of: Page) => of.evaluate(async () => (await fetch('/api/network')).json());
  expect(await network(page)).toMatchObject({ host: '127.0.0.1', reachable_from_network: false });
  await page.evaluate(() => window.studioDesktop.ask({ call: 'changeSettings', change: { reachableFromNetwork: true } }));
  await first.close();
  const second = await user.start();
  expect(await network(await pageOf(second))).toMatchObject({ host: '0.0.0.0', reachable_from_network: true, key_required: true });
});

test('quitting with a running job asks once; "go on" continues, "quit" parks the job and the next start finishes it', async () => {
  const first = await user.start();
  const page = await pageOf(first);
  await createJob(page, { ...small, steps: 50 });
  await waitForStatus(page, 'processing');
  await answerDialogs(first, 1);
  await first.evaluate(({ app }) => app.quit());
  await expect.poll(() => askedDialogs(first)).toEqual(['Quit while images are being generated?']);
  expect(await page.evaluate(async () => (await fetch('/api/health')).status)).toBe(200);

  await answerDialogs(first, 0);
  const ended = first.waitForEvent('close');
  await first.evaluate(({ app }) => app.quit());
  await ended;

  const second = await user.start();
  const later = await pageOf(second);
  await expect
    .poll(() => later.evaluate(async () => (await (await fetch('/api/jobs')).json()).jobs.map(({ status }: { status: string }) => status)), {
      timeout: 150_000,
      interval: 500,
    })
    .toEqual(['completed']);
});

test('SIGTERM parks running jobs and quits, even while a question is open; a late answer has no effect', async () => {
  const app = await user.start();
  const page = await pageOf(app);
  await createJob(page, long);
  await waitForStatus(page, 'processing');
  await app.evaluate(({ app: electronApp, dialog }) => {
    Reflect.set(dialog, 'showMessageBox', () => new Promise((answer) => process.once('SIGTERM', () => answer({ response: 0, checkboxChecked: false }))));
    electronApp.quit();
  });
  const ended = new Promise((done) => app.process().once('exit', done));
  app.process().kill('SIGTERM');
  expect(await ended).toBe(0);
});

test('a notification appears when a job ends while the window is hidden, and not while it is visible', async () => {
  const app = await user.start();
  const page = await pageOf(app);
  await app.evaluate(({ Notification }) => {
    const shown: string[] = [];
    Reflect.set(globalThis, 'shownNotifications', shown);
    Reflect.set(Notification, 'isSupported', () => true);
    Reflect.set(Notification.prototype, 'show', function show(this: Electron.Notification) {
      shown.push(this.title);
      Reflect.set(globalThis, 'lastNotification', this);
    });
  });
  const shown = (): Promise<string[]> => app.evaluate(() => Reflect.get(globalThis, 'shownNotifications') as string[]);
  await createJob(page, small);
  await waitForStatus(page, 'completed');
  expect(await shown()).toEqual([]);
  await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.hide());
  await createJob(page, { ...small, seed: 2 });
  await waitForStatus(page, 'completed');
  await expect.poll(shown).toEqual(['Your image is ready']);
  await page.evaluate(() => {
    window.heardCommands = [];
    window.studioDesktop.onCommand((command) => window.heardCommands.push(command));
  });
  await app.evaluate(() => (Reflect.get(globalThis, 'lastNotification') as Electron.Notification).emit('click'));
  await expect.poll(() => isVisible(app)).toBe(true);
  const asked = await page.evaluate(() => window.socketMessages.find((message) => message.type === 'job_status'));
  await expect
    .poll(() => page.evaluate(() => window.heardCommands))
    .toEqual([{ command: 'show_job', jobId: asked?.type === 'job_status' ? asked.job_id : 'none' }]);
});

test('a taken port is reported and another one is used', async () => {
  const notices = join(user.folder, 'notices.txt');
  const stranger = createServer((_request, response) => response.end());
  await new Promise<void>((ready) => stranger.listen(0, '127.0.0.1', ready));
  const { port } = stranger.address() as AddressInfo;
  const app = await user.withDialogsInto(notices).start(`--port=${port}`);
  const page = await pageOf(app);
  expect(Number(new URL(page.url()).port)).not.toBe(port);
  await expect.poll(() => existsSync(notices) && readFileSync(notices, 'utf8')).toContain(`Port ${port} is in use by another program`);
  expect(await page.evaluate(async () => (await fetch('/api/health')).json())).toEqual({ status: 'ok' });
  stranger.close();
});

test('if our own server already runs on this data folder, the window is its client, and hosts after its end', async () => {
  const headless = new HeadlessProcess({ dataDir: join(user.folder, 'studio'), entry: resolve(import.meta.dirname, '../../out/main/headless.js') });
  const origin = await headless.ready;
  const first = await user.start();
  const page = await pageOf(first);
  expect(new URL(page.url()).origin).toBe(origin);
  const engines = await first.evaluate(({ app }) => app.getAppMetrics().filter(({ name, serviceName }) => `${name} ${serviceName}`.includes('Engine')).length);
  expect(engines).toBe(0);
  await first.evaluate(({ Tray, app }) => {
    Reflect.set(Tray.prototype, 'setToolTip', (text: string) => Reflect.set(globalThis, 'toolTip', text));
    Reflect.set(app, 'relaunch', () => Reflect.set(globalThis, 'relaunched', true));
  });
  await createJob(page, long);
  await waitForStatus(page, 'processing');
  await expect
    .poll(() => first.evaluate(() => String(Reflect.get(globalThis, 'toolTip'))))
    .toMatch(/1 image in progress.*\nConnected to a server that is already running/);

  await answerDialogs(first, 0);
  const ended = first.waitForEvent('close');
  await headless.end();
  await ended;
  const second = await user.start();
  const later = await pageOf(second);
  expect(new URL(later.url()).origin).not.toBe(origin);
  expect(await later.evaluate(async () => (await (await fetch('/api/jobs')).json()).jobs.map(({ status }: { status: string }) => status))).toEqual([
    'processing',
  ]);
});

test('starting at login is a file in the autostart folder, hidden; switching it off removes the file', async () => {
  const app = await user.start();
  const page = await pageOf(app);
  const file = join(user.folder, 'config/autostart/z-image-turbo-studio.desktop');
  await page.evaluate(() => window.studioDesktop.ask({ call: 'changeSettings', change: { startAtLogin: true } }));
  await expect.poll(() => existsSync(file)).toBe(true);
  expect(readFileSync(file, 'utf8')).toMatch(/^Exec=".+" --hidden$/m);
  await page.evaluate(() => window.studioDesktop.ask({ call: 'changeSettings', change: { startAtLogin: false } }));
  await expect.poll(() => existsSync(file)).toBe(false);
});

test('a start at login shows no window until the user opens it', async () => {
  const app = await user.start('--hidden');
  await pageOf(app);
  expect(await isVisible(app)).toBe(false);
  expect(await user.startAgain()).toBe(0);
  await expect.poll(() => isVisible(app)).toBe(true);
});
