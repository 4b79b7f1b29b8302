import { expect, test } from 'vitest';
import { startHubServer } from '../../../tests/support/hub-server.ts';
import { createHubClient } from './hub-client.ts';

const proxies = { http: '', https: '', none: '' };
const { signal } = new AbortController();

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

test('offline, nothing is asked for', async () => {
  const hub = createHubClient({ endpoint: 'https://huggingface.co', token: null, proxies, isOffline: true });
  await expect(hub.list('a/b', 'main', signal)).rejects.toMatchObject({ code: 'download_failed', message: expect.stringContaining('HF_HUB_OFFLINE is set') });
});

test.each([
  [401, 'GatedRepo', null, 'a/b is gated (HTTP 401): its authors ask you to accept their terms on its page first. Then set HF_TOKEN, or run hf auth login'],
  [403, 'GatedRepo', 'hf_x', 'Check that your token belongs to that account.'],
  [401, 'RepoNotFound', null, 'a/b does not exist, or is private (HTTP 401). Check its name, or set HF_TOKEN to a token that has access.'],
  [404, 'RevisionNotFound', null, 'a/b has no such revision (HTTP 404).'],
  [401, undefined, null, 'It is private, gated or missing.'],
])('HTTP %d with X-Error-Code %s and the token %s: %s', async (status, errorCode, token, message) => {
  const server = await startHubServer({ name: 'a/b', commit: 'c'.repeat(40), files: new Map() });
  server.api = { status, ...(errorCode === undefined ? {} : { errorCode }) };
  const hub = createHubClient({ endpoint: server.endpoint, token, proxies, ca: server.cert });
  await expect(hub.list('a/b', 'main', signal)).rejects.toMatchObject({ code: 'repository_unavailable', message: expect.stringContaining(message) });
  await hub.close();
  await server.close();
});
