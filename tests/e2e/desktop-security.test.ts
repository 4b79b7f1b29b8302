import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ElectronApplication, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { DesktopBridge } from '#shared/protocol/desktop.ts';
import * as double from '../doubles/electron.ts';
import { type DesktopMachine, DesktopUser, desktopMachine, pageOf } from './desktop-app.ts';

declare global {
  interface Window {
    studioDesktop: DesktopBridge;
  }
}

const root = resolve(import.meta.dirname, '../..');
const machine = await desktopMachine();
let user: DesktopUser;
let app: ElectronApplication;
let page: Page;

beforeAll(async () => {
  if (typeof machine === 'string') return;
  user = new DesktopUser(machine);
  app = await user.start();
  page = await pageOf(app);
  await app.evaluate(({ shell }) => {
    const opened: string[] = [];
    Reflect.set(globalThis, 'openedOutside', opened);
    Reflect.set(shell, 'openExternal', async (url: string) => void opened.push(url));
  });
});
beforeEach(({ skip }) => {
  if (typeof machine === 'string') skip(machine);
});
afterAll(async () => {
  await user?.end();
  await (machine as Partial<DesktopMachine>).display?.close();
});

const preferences = () =>
  app.evaluate(({ webContents }) =>
    webContents.getAllWebContents().map((contents) => Reflect.apply(Reflect.get(contents, 'getLastWebPreferences'), contents, []) as Electron.WebPreferences),
  );
const everyPage = async (wanted: Electron.WebPreferences): Promise<void> => {
  const all = await preferences();
  expect(all).toHaveLength(1);
  for (const one of all) expect(one).toMatchObject(wanted);
};
const pages = (): Promise<number> => app.evaluate(({ webContents }) => webContents.getAllWebContents().length);
const openedOutside = (): Promise<string[]> => app.evaluate(() => Reflect.get(globalThis, 'openedOutside') as string[]);

/** A page of another origin on this machine. */
async function stranger(): Promise<{ url: string; close(): void }> {
  const server = createServer((_request, response) => response.setHeader('content-type', 'text/html').end('<h1>stranger</h1>'));
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close: () => server.close() };
}

/** A window with our preload script, as an attacker might open it. */
async function windowWithPreload(url: string): Promise<Page> {
  const [other] = await Promise.all([
    app.waitForEvent('window'),
    app.evaluate(({ app: electronApp, BrowserWindow }, address) => {
      const window = new BrowserWindow({ show: false, webPreferences: { preload: `${electronApp.getAppPath()}/out/preload/preload.cjs`, sandbox: true } });
      return window.loadURL(address);
    }, url),
  ]);
  return other;
}

// the items and their order: https://www.electronjs.org/docs/latest/tutorial/security
describe("Electron's security checklist in the running app", () => {
  test('1. only secure content is loaded: everything comes from our own server on this machine', async () => {
    const origin = new URL(page.url()).origin;
    expect(origin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const requested: string[] = [];
    page.on('request', (request) => requested.push(request.url()));
    await page.reload();
    expect(requested.length).toBeGreaterThan(2);
    for (const url of requested) expect(url.startsWith(`${origin}/`) || /^(data|blob):/.test(url), url).toBe(true);
  });

  test('2. no Node.js in the page, its workers or its frames', async () => {
    await everyPage({ nodeIntegration: false, nodeIntegrationInSubFrames: false });
    // Electron omits this one if it is off
    expect((await preferences()).map(({ nodeIntegrationInWorker }) => nodeIntegrationInWorker ?? false)).toEqual([false]);
    const globals = await page.evaluate(() => ['require', 'process', 'module', 'Buffer', 'global'].map((name) => typeof Reflect.get(window, name)));
    expect(new Set(globals)).toEqual(new Set(['undefined']));
  });

  test('3. context isolation: the page cannot reach or change what the preload script uses', async () => {
    await everyPage({ contextIsolation: true });
    // the page's changes to built-in objects do not reach the bridge's world
    const answer = await page.evaluate(() => {
      Array.prototype.push = () => 0;
      Object.freeze = () => ({ notifications: 'changed' }) as never;
      Reflect.set(window.studioDesktop, 'ask', () => 'replaced');
      return window.studioDesktop.ask({ call: 'getSettings' }).then(({ notifications }) => notifications);
    });
    expect(answer).toBe(true);
    await page.reload();
  });

  test('4. the sandbox is on', async () => {
    await everyPage({ sandbox: true });
  });

  test('5. permission requests are denied, except two', async () => {
    for (const permission of ['geolocation', 'notifications', 'camera', 'microphone', 'midi', 'clipboard-read', 'persistent-storage'] as const) {
      const state = await page.evaluate(async (name) => (await navigator.permissions.query({ name: name as PermissionName })).state, permission);
      expect(`${permission} ${state}`).toBe(`${permission} denied`);
    }
    const camera = page.evaluate(() => navigator.mediaDevices.getUserMedia({ video: true }).then(() => 'granted'));
    await expect(camera).rejects.toThrow();
    const place = await page.evaluate(
      () =>
        new Promise((told) =>
          navigator.geolocation.getCurrentPosition(
            () => told('granted'),
            () => told('denied'),
          ),
        ),
    );
    expect(place).toBe('denied');
  });

  test('6. web security is on: another origin cannot be read', async () => {
    await everyPage({ webSecurity: true });
    const other = await stranger();
    await expect(page.evaluate(async (url) => (await fetch(url)).text(), other.url)).rejects.toThrow();
    other.close();
  });

  test('7. the content security policy allows nothing inline, and is enforced', async () => {
    const policy = await page.evaluate(async () => (await fetch('/')).headers.get('content-security-policy'));
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    const injected = await page.evaluate(() => {
      const violated = new Promise<string>((told) => document.addEventListener('securitypolicyviolation', (event) => told(event.effectiveDirective)));
      const script = document.createElement('script');
      script.textContent = 'window.injected = true';
      document.body.append(script);
      return violated.then((directive) => [directive, typeof Reflect.get(window, 'injected')]);
    });
    expect(injected).toEqual(['script-src-elem', 'undefined']);
  });

  test('8. no insecure content in secure pages', async () => {
    await everyPage({ allowRunningInsecureContent: false });
  });

  test('9. no experimental features', async () => {
    await everyPage({ experimentalFeatures: false });
  });

  test('10. no Blink features switched on', async () => {
    for (const one of await preferences()) expect(one.enableBlinkFeatures ?? '').toBe('');
  });

  test('11. and 12. no webview: the tag is unknown, so allowpopups and options have no effect', async () => {
    await everyPage({ webviewTag: false });
    await page.evaluate((url) => {
      const view = document.createElement('webview');
      view.setAttribute('src', url);
      view.setAttribute('allowpopups', '');
      document.body.append(view);
    }, 'https://example.org/');
    const isPlain = await page.evaluate(() => typeof Reflect.get(document.querySelector('webview') ?? {}, 'loadURL'));
    expect([isPlain, await pages()]).toEqual(['undefined', 1]);
  });

  test("13. to 15. no navigation, no second window, and only https links open in the system's browser", async () => {
    const home = page.url();
    const elsewhere = ['https://example.org/a', 'http://example.org/b', 'file:///etc/passwd', 'data:text/html,x', 'http://127.0.0.1:1/', 'smb://host/x'];
    for (const target of elsewhere) {
      await page.evaluate((url) => {
        const link = document.createElement('a');
        link.href = url;
        document.body.append(link);
        link.click();
        link.target = '_blank';
        link.click();
        window.open(url);
      }, target);
    }
    await expect.poll(async () => (await openedOutside()).length).toBeGreaterThan(0);
    expect(new Set(await openedOutside())).toEqual(new Set(['https://example.org/a']));
    expect([page.url(), await pages()]).toEqual([home, 1]);
  });

  test('16. the shipped version of Electron is supported, and is the one that runs if it is installed', async () => {
    const running = await app.evaluate(() => process.versions.electron);
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(Number(manifest.devDependencies.electron.split('.')[0])).toBeGreaterThanOrEqual(45);
    expect(running).toBe(typeof machine === 'string' ? '' : machine.electron.version);
  });

  test('17. only our own page in our own window may call the main process', async () => {
    await expect(page.evaluate(() => window.studioDesktop.ask({ call: 'getSettings' }))).resolves.toMatchObject({ closeToTray: false });
    await expect(page.evaluate(() => window.studioDesktop.ask(JSON.parse('{"call":"runProgram","path":"/bin/sh"}')))).rejects.toThrow('knows no such call');
    await expect(page.evaluate(() => window.studioDesktop.ask({ call: 'showInFolder', filename: '../../../../etc/passwd' }))).resolves.toBe(false);
    const other = await stranger();
    const strange = await windowWithPreload(other.url);
    await expect(strange.evaluate(() => window.studioDesktop.ask({ call: 'getSettings' }))).rejects.toThrow("Only the program's own page");
    await strange.close();
    // our own page, in a window that is not ours
    const copy = await windowWithPreload(page.url());
    await expect(copy.evaluate(() => window.studioDesktop.ask({ call: 'getSettings' }))).rejects.toThrow("Only the program's own page");
    await copy.close();
    other.close();
  });

  test('17. a frame inside our page has no bridge, and its messages are refused', async () => {
    const hasBridge = await page
      .evaluate(async () => {
        const frame = document.createElement('iframe');
        frame.src = '/api/health';
        document.body.append(frame);
        await new Promise((loaded) => frame.addEventListener('load', loaded));
        const inside = frame.contentWindow === null ? 'none' : typeof Reflect.get(frame.contentWindow, 'studioDesktop');
        frame.remove();
        return inside;
      })
      .catch(() => 'none');
    expect(['none', 'undefined']).toContain(hasBridge);
    const answer = await app.evaluate(({ ipcMain, BrowserWindow }) => {
      const handlers = Reflect.get(ipcMain, '_invokeHandlers') as Map<string, (event: unknown, message: unknown) => Promise<unknown>>;
      const contents = BrowserWindow.getAllWindows()[0]?.webContents;
      const frame = { url: contents?.mainFrame.url };
      const call = handlers.get('desktop:call');
      if (call === undefined) return 'no handler';
      return Promise.resolve(call({ sender: contents, senderFrame: frame, _throw: (error: unknown) => error }, { call: 'getSettings' })).then(
        (given) => (given === undefined ? 'refused' : JSON.stringify(given)),
        (error: Error) => error.message,
      );
    });
    expect(answer).toMatch(/refused|Only the program's own page/);
  });

  test('18. no file:// page is loaded or can be loaded', async () => {
    expect(new URL(page.url()).protocol).toBe('http:');
    await expect(page.evaluate(async () => (await fetch('file:///etc/passwd')).text())).rejects.toThrow();
  });

  test('19. the fuses of the packaged app', async () => {
    const { default: packaging }: { default: unknown } = await import(pathToFileURL(join(root, 'electron-builder.config.mjs')).href);
    expect(Reflect.get(Object(packaging), 'electronFuses')).toEqual({
      runAsNode: false,
      enableCookieEncryption: true,
      enableNodeOptionsEnvironmentVariable: false,
      enableNodeCliInspectArguments: false,
      enableEmbeddedAsarIntegrityValidation: true,
      onlyLoadAppFromAsar: true,
      loadBrowserProcessSpecificV8Snapshot: false,
      grantFileProtocolExtraPrivileges: false,
    });
  });

  test('20. the page has two functions of Electron and nothing else', async () => {
    expect(await page.evaluate(() => Object.keys(window.studioDesktop).sort())).toEqual(['ask', 'onCommand']);
    expect(await page.evaluate(() => Object.keys(window).filter((name) => /electron|ipc/i.test(name)))).toEqual([]);
    // a listener gets only the command, never the event, whose sender exposes all of ipcRenderer
    await page.evaluate(() => {
      window.studioDesktop.onCommand((...heard: unknown[]) => Reflect.set(window, 'heardArguments', heard.length));
    });
    await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.webContents.send('desktop:command', { command: 'go', screen: 'gallery' }));
    await expect.poll(() => page.evaluate(() => Reflect.get(window, 'heardArguments'))).toBe(1);
  });
});

/** `kind member` for everything reachable by name in two steps. */
function surfaceOf(module: Record<string, unknown>): string[] {
  return Object.entries(module).flatMap(([name, value]) => {
    const members = typeof value === 'object' && value !== null ? Object.entries(value).map(([member, inner]) => `${typeof inner} ${name}.${member}`) : [];
    return [`${typeof value} ${name}`, ...members];
  });
}

test("the members of the unit tests' fake electron exist in the real one, with the same kind", async () => {
  const pretended = surfaceOf({ ...double }).filter((member) => !member.includes('runningBlockers'));
  expect(pretended.length).toBeGreaterThan(5);
  const real = await app.evaluate((electron, members) => {
    return members.map((line) => {
      const [, path = ''] = line.split(' ');
      const value = path.split('.').reduce<unknown>((owner, name) => Reflect.get(Object(owner), name), electron);
      return `${typeof value} ${path}`;
    });
  }, pretended);
  expect(real).toEqual(pretended);
});
