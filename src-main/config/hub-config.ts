import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoCode } from '#main/lib/errno-code.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { expandFolder, homeFolder } from './expand-folder.ts';
import type { Environment } from './read-options.ts';

/** Where models are downloaded from and to, by the variables that Hugging Face's own tools read. Addresses are checked when they are used. */
export interface HubConfig {
  /** `https://huggingface.co`, or the mirror that `HF_ENDPOINT` names. */
  endpoint: string;
  /** `HF_TOKEN`, or what `hf auth login` wrote to `HF_TOKEN_PATH` or to `token` in `HF_HOME`. */
  token: string | null;
  /** `HF_HUB_OFFLINE`: nothing is downloaded. */
  isOffline: boolean;
  /** `HF_HUB_CACHE` or its older name `HUGGINGFACE_HUB_CACHE`, or `hub` in `HF_HOME`, by default `~/.cache/huggingface`, or in the data folder for a user without a home folder. */
  cacheDir: string;
  /** `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` in either case; empty where unset. */
  proxies: { http: string; https: string; none: string };
}

/** Source: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables. `notices` receives what is wrong with a folder. */
export function loadHubConfig(env: Environment, dataDir: string, notices: string[]): HubConfig {
  const value = (name: string): string => env[name]?.trim() ?? '';
  const eitherCase = (name: string): string => value(name) || value(name.toUpperCase());
  const folder = (name: string, inside: string): string | null => {
    try {
      return value(name) === '' ? null : join(expandFolder(value(name), env), inside);
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
      notices.push(`${name} is ignored: ${thrown.message}`);
      return null;
    }
  };
  const home =
    folder('HF_HOME', '') ??
    folder('XDG_CACHE_HOME', 'huggingface') ??
    join(homeFolder(env) ?? dataDir, homeFolder(env) === null ? '' : '.cache', 'huggingface');
  return {
    endpoint: value('HF_ENDPOINT').replace(/\/+$/, '') || 'https://huggingface.co',
    token: value('HF_TOKEN') || readToken(folder('HF_TOKEN_PATH', '') ?? join(home, 'token'), notices),
    isOffline: /^(1|on|yes|true)$/i.test(value('HF_HUB_OFFLINE')),
    cacheDir: folder('HF_HUB_CACHE', '') ?? folder('HUGGINGFACE_HUB_CACHE', '') ?? join(home, 'hub'),
    proxies: { http: eitherCase('http_proxy'), https: eitherCase('https_proxy'), none: eitherCase('no_proxy') },
  };
}

function readToken(path: string, notices: string[]): string | null {
  try {
    return readFileSync(path, 'utf8').trim() || null;
  } catch (cause) {
    const code = errnoCode(cause);
    if (code !== 'ENOENT' && code !== 'ENOTDIR') notices.push(`The token of Hugging Face in ${path} cannot be read (${code}).`);
    return null;
  }
}
