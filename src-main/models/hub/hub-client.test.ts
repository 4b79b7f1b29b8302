import { expect, test } from 'vitest';
import { createHubClient } from './hub-client.ts';

test.each(['huggingface.co', 'ftp://a', 'https://user@a', 'https://a/?x=1'])(
  'HF_ENDPOINT=%s: each download is refused by the name of the variable',
  async (endpoint) => {
    const hub = createHubClient({ endpoint, token: null, proxies: { http: '', https: '', none: '' } });
    const refusal = { code: 'download_failed', message: `HF_ENDPOINT is "${endpoint}"; it must be an address such as https://huggingface.co.` };
    await expect(hub.list('a/b', 'main', new AbortController().signal)).rejects.toMatchObject(refusal);
    await expect(hub.get(new URL('https://a'), {}, new AbortController().signal)).rejects.toMatchObject(refusal);
    await hub.close();
  },
);
