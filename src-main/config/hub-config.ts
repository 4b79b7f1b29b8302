import { join } from 'node:path';
import { AppError } from '#shared/protocol/errors.ts';
import { expandFolder, homeFolder } from './expand-folder.ts';
import type { Environment } from './read-options.ts';

/** Where models are downloaded from and to, by the variables that Hugging Face's own tools read. Addresses are checked when they are used. */
export interface HubConfig {
  /** `https://huggingface.co`, or the mirror that `HF_ENDPOINT` names. */
  endpoint: string;
  /** `HF_TOKEN`. */
  token: string | null;
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
  return {
    endpoint: value('HF_ENDPOINT').replace(/\/+$/, '') || 'https://huggingface.co',
    token: value('HF_TOKEN') || null,
    cacheDir:
      folder('HF_HUB_CACHE', '') ??
      folder('HUGGINGFACE_HUB_CACHE', '') ??
      folder('HF_HOME', 'hub') ??
      folder('XDG_CACHE_HOME', join('huggingface', 'hub')) ??
      join(homeFolder(env) ?? dataDir, homeFolder(env) === null ? '' : '.cache', 'huggingface', 'hub'),
    proxies: { http: eitherCase('http_proxy'), https: eitherCase('https_proxy'), none: eitherCase('no_proxy') },
  };
}
