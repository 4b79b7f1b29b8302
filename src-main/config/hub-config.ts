import { homedir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '#shared/protocol/errors.ts';

/** Where models are downloaded from and to, by the variables that Hugging Face's own tools read. */
export interface HubConfig {
  /** `https://huggingface.co`, or the mirror that `HF_ENDPOINT` names. */
  endpoint: string;
  /** `HF_TOKEN`. */
  token: string | null;
  /** `HF_HUB_CACHE`, or `hub` in `HF_HOME`, which is `~/.cache/huggingface` by default. */
  cacheDir: string;
  /** `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` in either case; empty where there is none. */
  proxies: { http: string; https: string; none: string };
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws `bad_option` for an `HF_ENDPOINT` that is no address. Source: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables */
export function loadHubConfig(env: Environment): HubConfig {
  return {
    endpoint: endpointOf(env['HF_ENDPOINT'] || 'https://huggingface.co'),
    token: env['HF_TOKEN']?.trim() || null,
    cacheDir: env['HF_HUB_CACHE'] || join(env['HF_HOME'] || join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'huggingface'), 'hub'),
    proxies: { http: eitherCase(env, 'http_proxy'), https: eitherCase(env, 'https_proxy'), none: eitherCase(env, 'no_proxy') },
  };
}

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && (url.protocol === 'https:' || url.protocol === 'http:') && url.username === '' && url.search === '') return url.href.replace(/\/$/, '');
  throw new AppError('bad_option', `HF_ENDPOINT is ${JSON.stringify(text)}; it must be an address such as https://huggingface.co.`, { option: 'HF_ENDPOINT' });
}

function eitherCase(env: Environment, name: string): string {
  return env[name] || env[name.toUpperCase()] || '';
}
