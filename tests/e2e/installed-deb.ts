import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { connectWithPage, firstPage } from './packaged-app.ts';

const PACKAGE = 'z-image-turbo-studio';
export const INSTALLED_IN = '/opt/Z-Image-Turbo Studio';

const output = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Why a test cannot install a deb here, or null. */
export function cannotInstall(): string | null {
  if (process.getuid?.() !== 0) return 'installing a deb needs root';
  if (spawnSync('dpkg', ['--version']).error !== undefined) return 'this system has no dpkg';
  if (existsSync(INSTALLED_IN)) return `${INSTALLED_IN} is there already, and the test would remove it`;
  return null;
}

/** The packages that `deb` depends on and this system lacks, one of each group of alternatives. */
export function missingDependencies(deb: string): string[] {
  const isInstalled = (name: string): boolean => {
    const { stdout } = spawnSync('dpkg-query', ['-W', '-f', '${Status}', name], { encoding: 'utf8' });
    return stdout.startsWith('install ok');
  };
  const groups = output('dpkg-deb', '-f', deb, 'Depends')
    .split(',')
    .map((group) => group.split('|').map((name) => name.trim()));
  return groups.filter((group) => !group.some(isInstalled)).flatMap(([name]) => name ?? []);
}

export const install = (deb: string): string => output('dpkg', '-i', deb);
export const remove = (): string => output('dpkg', '-r', PACKAGE);
/** Purges the removed package's scripts as well. Does nothing without one. */
export const purge = (): void => void spawnSync('dpkg', ['--purge', PACKAGE]);

/** Kills remaining processes of the installed program. It was not installed before the test, so they belong to the test. */
export function killInstalled(): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readlinkSync(`/proc/${pid}/exe`).startsWith(`${INSTALLED_IN}/`)) process.kill(Number(pid), 'SIGKILL');
    } catch {
      // it ended meanwhile, or it is a kernel thread, which has no file
    }
  }
}

export const installedVersion = (): string => output('dpkg-query', '-W', '-f', '${Version}', PACKAGE);

/** Everything that the package installed, except folders shared with other packages. */
export function installedPaths(): string[] {
  return output('dpkg', '-L', PACKAGE)
    .split('\n')
    .filter((path) => path.startsWith(INSTALLED_IN) || (path !== '' && path !== '/.' && !lstatSync(path).isDirectory()));
}

/** Files and folders with the octal mode of each. */
export function modesOf(paths: readonly string[]): Map<string, string> {
  return new Map(paths.map((path) => [path, (lstatSync(path).mode & 0o7777).toString(8)]));
}

/** Everything below `folder`, itself included. */
export function treeOf(folder: string): string[] {
  return [folder, ...readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file))];
}

export function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address !== null ? done(address.port) : fail(new Error('there is no free port'))));
    });
  });
}

/** The page of an app that another process started, once it answers on its DevTools port and shows `version`. */
export async function pageOfVersion(devToolsPort: number, version: string, timeoutMs: number): Promise<Page> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      const browser = await connectWithPage(`127.0.0.1:${devToolsPort}`, timeoutMs);
      const page = await firstPage(browser);
      const shown = await page.evaluate(async () => (await (await fetch('/api/info')).json()).version);
      if (shown === version) return page;
      await browser.close();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    if (Date.now() > deadline) throw new Error(`no app of version ${version} answered in ${timeoutMs} ms`);
    await new Promise((done) => setTimeout(done, 200));
  }
}
