import { join } from 'node:path';
import { readRegularFile } from '#main/lib/read-regular-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { expandFolder, homeFolder } from './expand-folder.ts';
import type { Environment } from './read-options.ts';

/** Where a command looks for a running server. */
export interface ServerTargets {
  /** The address that the user named; nothing else is tried then. */
  named: { url: string; key: string | null } | null;
  /** Data folders whose `server.json` may name a server, in this order. */
  dataDirs: string[];
  /** `ZIMAGE_KEY`. */
  key: string | null;
}

/** Folder of the desktop app's settings: Electron's `userData`. */
const APP_NAME = 'Z-Image-Turbo Studio';

/**
 * `--url` or `ZIMAGE_URL` names the server; without them the data folders are asked: `--data-dir` or `ZIMAGE_DATA_DIR` alone, else that of the
 * checkout and that of the desktop app. `ZIMAGE_HOST` and `ZIMAGE_PORT` say where a server listens and are never a target. Throws `bad_option`.
 */
export function serverTargets(
  given: { url?: string | undefined; dataDir?: string | undefined },
  checkoutDir: string | null,
  env: Environment = process.env,
): ServerTargets {
  const key = env['ZIMAGE_KEY']?.trim() || null;
  const url = given.url ?? env['ZIMAGE_URL']?.trim();
  if (url) return { named: { url: parseServerUrl(url, given.url === undefined ? 'ZIMAGE_URL' : '--url'), key }, dataDirs: [], key };
  const named = env['ZIMAGE_DATA_DIR']?.trim();
  const dataDir = given.dataDir ?? (named ? expandFolder(named, env) : undefined);
  if (dataDir !== undefined) return { named: null, dataDirs: [dataDir], key };
  return { named: null, dataDirs: [checkoutDir === null ? null : join(checkoutDir, 'data'), desktopDataDir(env)].filter((dir) => dir !== null), key };
}

/** The origin of an address. A wildcard address cannot be called and becomes loopback. Throws `bad_option`. */
export function parseServerUrl(text: string, option: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search !== '')
    throw new AppError('bad_option', `${option} is ${JSON.stringify(text)}; it must be an address such as http://127.0.0.1:8004.`, { option });
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1';
  if (url.hostname === '[::]') url.hostname = '[::1]';
  return url.origin;
}

/** The key in a data folder, which only its owner can read; null without one. */
export function readAccessKey(dataDir: string): string | null {
  try {
    return readRegularFile(join(dataDir, 'access-key')).toString('utf8').trim() || null;
  } catch {
    // another user's folder, or none: a server of this machine may need no key
    return null;
  }
}

/** The data folder of the desktop app. Source: https://www.electronjs.org/docs/latest/api/app#appgetpathname */
export function desktopDataDir(env: Environment = process.env, platform = process.platform): string | null {
  const home = homeFolder(env);
  const config: Partial<Record<NodeJS.Platform, string | null>> = {
    win32: env['APPDATA'] ?? null,
    darwin: home === null ? null : join(home, 'Library/Application Support'),
  };
  const folder = config[platform] ?? (env['XDG_CONFIG_HOME'] || (home === null ? null : join(home, '.config')));
  return folder === null ? null : join(folder, APP_NAME, 'studio');
}
