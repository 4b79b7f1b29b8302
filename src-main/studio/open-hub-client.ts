import type { HubConfig } from '#main/config/hub-config.ts';
import { createHubClient, type HubClient } from '#main/models/hub/hub-client.ts';
import { AppError } from '#shared/protocol/errors.ts';

/** The client for the configured hub. With an `HF_ENDPOINT` that is no address every download fails with a sentence about that, and nothing else does. */
export function openHubClient({ endpoint, token, proxies }: HubConfig): HubClient {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  const isUsable = url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '';
  if (isUsable) return createHubClient({ endpoint, token, proxies });
  const refuse = (): never => {
    throw new AppError('download_failed', `HF_ENDPOINT is ${JSON.stringify(endpoint)}; it must be an address such as https://huggingface.co.`, {});
  };
  return { list: async () => refuse(), get: async () => refuse(), fileUrl: refuse, close: async () => {} };
}
