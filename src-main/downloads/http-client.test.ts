import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createHttpClient } from './http-client.ts';
import { proxyUrl } from './proxy-url.ts';

test.each([
  ['', ''],
  ['proxy.corp:3128', 'http://proxy.corp:3128'],
  [' proxy.corp:3128\r', 'http://proxy.corp:3128'],
  ['name:secret@proxy.corp:3128', 'http://name:secret@proxy.corp:3128'],
  ['http://proxy.corp', 'http://proxy.corp'],
  ['HTTPS://proxy.corp:3128', 'HTTPS://proxy.corp:3128'],
  ['[::1]:3128', 'http://[::1]:3128'],
])('the proxy %j is read as curl and Go read it', (value, url) => {
  expect(proxyUrl('HTTPS_PROXY', value)).toBe(url);
});

test.each(['socks5://name:secret@proxy.corp:1080', 'ftp://secret', 'http://', 'secret proxy'])('the proxy %j is refused without showing it', (value) => {
  expect(() => proxyUrl('HTTPS_PROXY', value)).toThrow(/^HTTPS_PROXY (is not an address|has the scheme)/);
  expect(() => proxyUrl('HTTPS_PROXY', value)).not.toThrow(/secret/);
});

test('an unusable proxy is an error of the request, not of the start', async () => {
  const client = createHttpClient({ origin: 'https://hub.example', token: null, proxies: { http: '', https: 'socks5://proxy.corp', none: '' } });
  await expect(client.get(new URL('https://hub.example'), {}, new AbortController().signal)).rejects.toMatchObject({
    code: 'download_failed',
    message: expect.stringContaining('HTTPS_PROXY has the scheme "socks5"'),
  });
  await client.close();
});

test('a proxy without a scheme is used', async () => {
  const target = createServer((_request, response) => response.end('from the target'));
  const asked: (string | undefined)[] = [];
  const proxy = createServer((request, response) => {
    asked.push(request.url);
    response.end('from the target');
  }).on('connect', (request, socket: Socket) => {
    asked.push(request.url);
    const onwards = connect(portOf(target), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onwards.pipe(socket).pipe(onwards);
    });
    for (const end of [socket, onwards]) end.on('error', () => end.destroy());
  });
  for (const server of [target, proxy]) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${portOf(target)}`;
  const client = createHttpClient({ origin, token: null, proxies: { http: `127.0.0.1:${portOf(proxy)}`, https: '', none: '' } });
  onTestFinished(async () => {
    await client.close();
    target.close();
    proxy.close();
  });
  const { status, body } = await client.get(new URL(origin), {}, new AbortController().signal);
  let text = '';
  for await (const chunk of body) text += Buffer.from(chunk).toString();
  expect([status, text]).toEqual([200, 'from the target']);
  expect(asked).toHaveLength(1);
});

function portOf(server: ReturnType<typeof createServer>): number {
  return (server.address() as AddressInfo).port;
}
