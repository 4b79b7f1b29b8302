import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '#shared/protocol/errors.ts';
import { ask, handshake } from '../../../tests/doubles/ask.ts';
import { type StudioServer, startStudioServer } from '../../../tests/doubles/studio-server.ts';
import { loadAccessKey, rotateAccessKey } from './access-key.ts';
import {
  type AccessRequest,
  type AccessRules,
  addressGroup,
  checkHost,
  checkSite,
  isFromThisMachine,
  isImageOfListedOrigin,
  signOfProxy,
} from './access-rules.ts';
import { createRateLimit } from './rate-limit.ts';

const LISTED_HOST = 'studio.example';
const LISTED_ORIGIN = 'https://app.example';
const settings = { allowHosts: [LISTED_HOST], allowOrigins: [LISTED_ORIGIN] };

const binds = ['127.0.0.1', '0.0.0.0'];
const hosts: [host: string, isAllowed: boolean][] = [
  ['localhost', true],
  ['127.0.0.1', true],
  ['[::1]', true],
  [hostname(), true],
  [LISTED_HOST, true],
  ['evil.example', false],
];
/** HOST stands for the case's own host and port. */
const origins: [origin: string, isAllowed: boolean][] = [
  ['none', true],
  ['http://HOST', true],
  [LISTED_ORIGIN, true],
  ['null', false],
  ['http://evil.example', false],
];

const matrix = binds.flatMap((bind) =>
  hosts.flatMap(([host, hostAllowed]) =>
    origins.map(([origin, originAllowed]) => ({ bind, host, origin, code: !hostAllowed ? 'forbidden_host' : originAllowed ? null : 'forbidden_origin' })),
  ),
);

test('the matrix has 60 cases', () => expect(matrix).toHaveLength(60));

for (const bind of binds) {
  describe(`bound to ${bind}`, () => {
    let server: StudioServer;
    beforeAll(async () => {
      server = await startStudioServer({ ...settings, host: bind });
    });
    afterAll(() => server.close());

    test.for(matrix.filter((row) => row.bind === bind))('Host $host, Origin $origin: $code', async ({ host, origin, code }) => {
      const headers = {
        host: `${host}:${server.port}`,
        ...(origin === 'none' ? {} : { origin: origin.replace('HOST', `${host.toLowerCase()}:${server.port}`) }),
      };
      const http = await ask(server.port, '/api/health', { headers });
      expect(http.status).toBe(code === null ? 200 : 403);
      const socket = await ask(server.port, '/api/ws', { headers: { ...headers, ...handshake } });
      expect(socket.status).toBe(code === null ? 101 : 403);
      if (code !== null) expect([http.json()['code'], socket.json()['code']]).toEqual([code, code]);
      expect(http.headers['access-control-allow-origin']).toBe(code === null && origin === LISTED_ORIGIN ? LISTED_ORIGIN : undefined);
    });
  });
}

function networks(): string[] {
  return Object.values(networkInterfaces()).flatMap((faces) =>
    (faces ?? []).filter(({ internal, family }) => !internal && family === 'IPv4').map(({ address }) => address),
  );
}

const rules: AccessRules = { open: false, allowHosts: [LISTED_HOST], allowOrigins: [LISTED_ORIGIN], requireKey: false, hostName: () => 'Den.lan' };

function asked(headers: Record<string, string[]>, rest: Partial<AccessRequest> = {}): AccessRequest {
  return { method: 'GET', path: '/api/health', headers, remoteAddress: '127.0.0.1', localAddress: '127.0.0.1', localPort: 8004, ...rest };
}

function codeOf(check: () => void): string {
  try {
    check();
    return 'allowed';
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown.code;
    throw thrown;
  }
}

test.for([
  [['localhost'], true],
  [['LOCALHOST:8004'], true],
  [['den'], true],
  [['Den:1'], true],
  [['10.0.0.7:8004'], true],
  [['[fe80::1]:8004'], true],
  [['[::ffff:10.0.0.7]'], true],
  [[], false],
  [[''], false],
  [['localhost', 'localhost'], false],
  [['localhost.evil.example'], false],
  [['localhost:8004@evil.example'], false],
  [['user@localhost'], false],
  [['den.lan:8004'], true],
  [['localhost:'], true],
  [['localhost.'], true],
  [['localhost.:8004'], true],
  [['Studio.Example.'], true],
  [['127.1'], true],
  [['127.1:8004'], true],
  [['0'], true],
  [['127.0.1'], true],
  [['2130706433'], false],
  [['0x7f000001'], false],
  [['0177.0.0.1'], false],
  [['999.1'], false],
  [['localhost/'], false],
  [['localhost..'], false],
  [['.'], false],
  [['evil.example.'], false],
  [['1.2.3.4.5'], false],
  [['127.1.evil.example'], false],
  [['0x7f000001.evil.example'], false],
  [['127.0.0.1.nip.example'], false],
  [['[::1'], false],
  [['::1'], false],
  [['[evil.example]'], false],
  [['den.local'], false],
  [['localhost, evil.example'], false],
] as const)('Host %j', ([host, isAllowed]) => {
  expect(codeOf(() => checkHost(asked({ host: [...host] }), rules))).toBe(isAllowed ? 'allowed' : 'forbidden_host');
});

test.for([
  ['localhost:8004', 'http://localhost:8004', true],
  ['localhost:8004', 'http://127.0.0.1:8004', true],
  ['127.0.0.1:8004', 'http://localhost:8004', true],
  ['localhost', 'http://localhost', true],
  ['localhost:80', 'http://localhost', true],
  ['localhost:8004', 'http://localhost:3000', false],
  ['localhost:8004', 'http://localhost', false],
  ['localhost:8004', 'https://localhost:8004', false],
  ['localhost:8004', 'http://10.0.0.7:8004', false],
  ['10.0.0.7:8004', 'http://10.0.0.7:8004', true],
  ['10.0.0.7:8004', 'http://localhost:8004', false],
  ['localhost:9000', 'http://127.0.0.1:9000', false],
  ['localhost:8004', 'https://app.example', true],
  ['localhost:8004', 'https://app.example:443', false],
  ['localhost:8004', 'http://app.example', false],
  ['localhost:8004', 'https://app.example.evil.example', false],
  ['localhost:8004', 'HTTP://localhost:8004', false],
  ['localhost:8004', 'http://localhost:8004/', false],
  ['localhost:8004', 'http://localhost:8004 ', false],
  ['localhost:8004', 'file://', false],
  ['localhost:8004', '', false],
] as const)('Host %s, Origin %s', ([host, origin, isAllowed]) => {
  expect(codeOf(() => checkSite(asked({ host: [host], origin: [origin] }), rules))).toBe(isAllowed ? 'allowed' : 'forbidden_origin');
});

test.for([
  [{ site: 'cross-site', mode: 'navigate', dest: 'document', path: '/' }, true],
  [{ site: 'cross-site', mode: 'navigate', dest: 'document', path: '/api/health' }, false],
  [{ site: 'cross-site', mode: 'navigate', dest: 'document', path: '/docs' }, true],
  [{ site: 'cross-site', mode: 'navigate', dest: 'document', path: '/docs/websocket' }, true],
  [{ site: 'cross-site', mode: 'navigate', dest: 'document', path: '/docs/openapi.json' }, false],
  [{ site: 'cross-site', mode: 'navigate', dest: 'document', path: '/docs', method: 'POST' }, false],
  [{ site: 'cross-site', mode: 'navigate', dest: 'iframe', path: '/' }, false],
  [{ site: 'cross-site', mode: 'navigate', dest: 'document', path: '/', method: 'POST' }, false],
  [{ site: 'cross-site', mode: 'no-cors', dest: 'image', path: '/api/image/a.png' }, false],
  [{ site: 'cross-site', mode: 'cors', dest: 'empty', path: '/' }, false],
  [{ site: 'same-origin', mode: 'cors', dest: 'empty', path: '/api/health' }, true],
  [{ site: 'none', mode: 'navigate', dest: 'document', path: '/docs' }, true],
] as const)('Sec-Fetch %j', ([{ site, mode, dest, path, ...rest }, isAllowed]) => {
  const request = asked({ host: ['localhost:8004'], 'sec-fetch-site': [site], 'sec-fetch-mode': [mode], 'sec-fetch-dest': [dest] }, { path, ...rest });
  expect(codeOf(() => checkSite(request, rules))).toBe(isAllowed ? 'allowed' : 'forbidden_site');
});

test.for([
  ['127.0.0.1', '127.0.0.1', true],
  ['127.9.9.9', '127.0.0.1', true],
  ['::1', '::1', true],
  ['::ffff:127.0.0.1', '::ffff:127.0.0.1', true],
  ['10.0.0.7', '10.0.0.7', true],
  ['::ffff:10.0.0.7', '::ffff:10.0.0.7', true],
  ['10.0.0.8', '10.0.0.7', false],
  ['', '', false],
] as const)('from %s to %s: from this machine is %s', ([remoteAddress, localAddress, isHere]) => {
  expect(isFromThisMachine(asked({}, { remoteAddress, localAddress }))).toBe(isHere);
});

test.for(
  `forwarded x-forwarded x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-client-cert x-original-forwarded-for forwarded-for
  x-real-ip real-ip via cf-connecting-ip cf-connecting-ipv6 cf-pseudo-ipv4 cf-ray cf-visitor cf-ipcountry true-client-ip x-client-ip client-ip x-cluster-client-ip
  x-remote-ip x-remote-addr remote-addr x-original-host x-original-url x-original-uri x-originating-ip x-source-ip x-proxyuser-ip x-external-ip
  fly-client-ip fly-forwarded-port fastly-client-ip x-envoy-external-address x-azure-clientip x-azure-socketip x-appengine-user-ip x-arr-clientip
  x-arr-ssl x-amzn-trace-id x-amz-cf-id cloudfront-viewer-address x-vercel-id x-nf-client-connection-ip tailscale-user-login akamai-origin-hop
  incap-client-ip ali-cdn-real-ip wl-proxy-client-ip proxy-client-ip x-proxy-url front-end-https x-scheme x-host cdn-loop proxy-connection
  x-user-ip x-real-port`.split(/\s+/),
)('%s cancels the trust in this machine', (name) => {
  expect(isFromThisMachine(asked({ host: ['localhost:8004'], [name]: ['203.0.113.9'] }))).toBe(false);
});

test('what programs on this machine send does not', () => {
  const usual =
    'host connection upgrade user-agent accept accept-encoding accept-language cache-control pragma content-type content-length origin referer cookie authorization range if-none-match if-modified-since if-range sec-fetch-site sec-fetch-mode sec-fetch-dest sec-fetch-user sec-ch-ua sec-websocket-key sec-websocket-version sec-websocket-extensions upgrade-insecure-requests dnt te expect x-request-id x-requested-with traceparent priority';
  expect(isFromThisMachine(asked(Object.fromEntries(usual.split(' ').map((name) => [name, ['x']])), {}))).toBe(true);
});

test.for([
  ['localhost:8004', '127.0.0.1', null],
  ['127.0.0.1:8004', '127.0.0.1', null],
  ['127.1:8004', '127.0.0.1', null],
  ['[::1]:8004', '::1', null],
  ['den:8004', '127.0.0.1', null],
  ['10.0.0.7:8004', '10.0.0.7', null],
  ['10.0.0.7:9000', '10.0.0.8', null],
  ['localhost:9000', '127.0.0.1', 'localhost:9000'],
  ['localhost', '127.0.0.1', null],
  ['localhost.', '127.0.0.1', null],
  ['127.1', '127.0.0.1', null],
  ['203.0.113.9', '127.0.0.1', '203.0.113.9'],
  ['203.0.113.9:8004', '127.0.0.1', '203.0.113.9:8004'],
  ['studio.example:8004', '127.0.0.1', 'studio.example:8004'],
] as const)('Host %s from %s: the sign of a proxy is %s', ([host, remoteAddress, sign]) => {
  expect(signOfProxy(asked({ host: [host] }, { remoteAddress, localAddress: '10.0.0.7' }), rules)).toBe(sign);
});

test.for<[headers: Record<string, string>, isListed: boolean]>([
  [{ referer: 'https://app.example/page?x=1' }, true],
  [{ referer: 'https://app.example/', 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image' }, true],
  [{ referer: 'https://app.example/', 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'script' }, false],
  [{ referer: 'https://app.example.evil.example/' }, false],
  [{ referer: 'https://evil.example/?https://app.example/' }, false],
  [{ referer: 'null' }, false],
  [{}, false],
])('an image for %j: listed is %s', ([headers, isListed]) => {
  const request = asked(Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]])), { path: '/api/image/a.png' });
  expect(isImageOfListedOrigin(request, rules)).toBe(isListed);
  expect(isImageOfListedOrigin({ ...request, path: '/api/jobs' }, rules)).toBe(false);
  expect(isImageOfListedOrigin({ ...request, method: 'POST' }, rules)).toBe(false);
});

describe('the access key', () => {
  let server: StudioServer;
  let open: StudioServer;
  const elsewhere = { 'x-forwarded-for': '10.0.0.8' };
  beforeAll(async () => {
    server = await startStudioServer(settings);
    open = await startStudioServer({ ...settings, open: true });
  });
  afterAll(async () => {
    await server.close();
    await open.close();
  });

  test('this machine needs none, another one does, for HTTP and for the socket', async () => {
    expect((await ask(server.port, '/api/health')).status).toBe(200);
    const refused = await ask(server.port, '/api/health', { headers: elsewhere });
    expect([refused.status, refused.json()['code'], refused.headers['www-authenticate']]).toEqual([401, 'access_key_required', 'Bearer']);
    expect((await ask(server.port, '/api/ws', { headers: { ...elsewhere, ...handshake } })).status).toBe(401);
    expect((await ask(server.port, '/docs', { headers: elsewhere })).status).toBe(401);
  });

  test('over a real network address of this machine no key is needed either', async (context) => {
    const address = Object.values(networkInterfaces())
      .flat()
      .find((face) => face !== undefined && !face.internal && face.family === 'IPv4')?.address;
    if (address === undefined) return context.skip('this machine has no network address but loopback');
    const wide = await startStudioServer({ host: '0.0.0.0' });
    expect((await fetch(`http://${address}:${wide.port}/api/health`)).status).toBe(200);
    await wide.close();
  });

  test('as Bearer, as ?token= and as cookie it opens; a wrong one does not', async () => {
    const key = server.accessKey.text();
    const status = async (path: string, headers: Record<string, string>) => (await ask(server.port, path, { headers: { ...elsewhere, ...headers } })).status;
    expect(await status('/api/health', { authorization: `Bearer ${key}` })).toBe(200);
    expect(await status('/api/health', { authorization: `bearer ${key}` })).toBe(200);
    expect(await status(`/api/health?token=${key}`, {})).toBe(200);
    expect(await status('/api/jobs?limit=1', { authorization: `Bearer ${key}` })).toBe(200);
    expect(await status(`/api/jobs?limit=1&token=${key}`, {})).toBe(200);
    expect(await status(`/api/ws?token=${key}`, handshake)).toBe(101);
    expect(await status('/api/health', { authorization: `Bearer ${key}x` })).toBe(401);
    expect(await status('/api/health', { authorization: `Basic ${key}` })).toBe(401);
    expect(await status('/api/health?token=', {})).toBe(401);
    expect(await status(`/api/health?token=${key}&token=${key}`, {})).toBe(401);
    expect(await status('/api/health', { cookie: `zimage_key=${key}` })).toBe(401);
    expect(await status('/api/health', { cookie: `a=b; zimage_key=${server.accessKey.cookieValue()}` })).toBe(200);
  });

  test('/?token= turns into a cookie and an address without the key', async () => {
    const answer = await ask(server.port, `/?token=${server.accessKey.text()}&lang=zh`, { headers: elsewhere });
    expect([answer.status, answer.headers.location]).toEqual([303, '/?lang=zh']);
    const cookie = String(answer.headers['set-cookie']);
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict/);
    expect(cookie).not.toContain(server.accessKey.text());
    const page = await ask(server.port, '/', { headers: { ...elsewhere, cookie: cookie.split(';')[0] ?? '' } });
    expect(page.status).toBe(200);
  });

  test('a link in a web mail: the page that sets the cookie forwards, since a redirect would lose a strict cookie', async () => {
    const browser = { ...elsewhere, accept: 'text/html,*/*' };
    for (const path of ['/', '/docs', '/docs/websocket']) {
      const answer = await ask(server.port, `${path}?token=${server.accessKey.text()}&lang=zh`, { headers: browser });
      expect([answer.status, answer.headers.location, answer.headers['cache-control']]).toEqual([200, undefined, 'no-store']);
      expect(answer.body.toString()).toContain(`content="0; url=${path}?lang=zh"`);
      expect(answer.headers['set-cookie']?.[0]).toMatch(/^zimage_key=.+; HttpOnly; SameSite=Strict/);
    }
  });

  test('a plain link, which brings no strict cookie: the form asks once more from our own page, which brings it', async () => {
    const browser = { ...elsewhere, accept: 'text/html' };
    const linked = await ask(server.port, '/docs', { headers: browser });
    expect([linked.status, linked.body.toString().includes('http-equiv="refresh" content="0; url=/docs?signin="')]).toEqual([401, true]);
    const stranger = await ask(server.port, '/docs?signin=', { headers: browser });
    expect([stranger.status, stranger.body.toString().includes('refresh'), stranger.body.toString().includes('action="/docs"')]).toEqual([401, false, true]);
    const known = await ask(server.port, '/docs?signin=', { headers: { ...browser, cookie: `zimage_key=${server.accessKey.cookieValue()}` } });
    expect([known.status, known.body.toString().includes('url=/docs"')]).toEqual([200, true]);
  });

  test('the cookie does not let another site act', async () => {
    const cookie = { ...elsewhere, cookie: `zimage_key=${server.accessKey.cookieValue()}` };
    const put = (headers: Record<string, string>) =>
      ask(server.port, '/api/settings', {
        method: 'PUT',
        headers: { ...cookie, 'content-type': 'application/json', ...headers },
        body: '{"disk_limit_gb":20}',
      });
    expect((await put({ origin: 'http://evil.example' })).status).toBe(403);
    expect((await put({ 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await put({})).status).toBe(200);
  });

  test('with --require-key this machine needs it too, for HTTP and for the socket', async () => {
    const strict = await startStudioServer({ requireKey: true });
    const authorization = `Bearer ${strict.accessKey.text()}`;
    expect((await ask(strict.port, '/api/health')).json()['code']).toBe('access_key_required');
    expect((await ask(strict.port, '/api/ws', { headers: handshake })).status).toBe(401);
    expect((await ask(strict.port, '/api/health', { headers: { authorization } })).status).toBe(200);
    expect((await ask(strict.port, '/api/ws', { headers: { ...handshake, authorization } })).status).toBe(101);
    await strict.close();
  });

  test('GET /api/network contains the key only for a caller that presented it', async () => {
    const wide = await startStudioServer({ host: '0.0.0.0' });
    const key = wide.accessKey.text();
    const local = await ask(wide.port, '/api/network');
    expect([local.status, local.json()['key_included'], local.body.toString().includes(key)]).toEqual([200, false, false]);
    for (const headers of [{ authorization: `Bearer ${key}` }, { cookie: `zimage_key=${wide.accessKey.cookieValue()}` }]) {
      const answer = await ask(wide.port, '/api/network', { headers });
      expect([answer.json()['key_included'], answer.body.toString().includes(key)]).toEqual([true, networks().length > 0]);
    }
    await wide.close();
  });

  test('the sign of a proxy is logged once, and not with --require-key', async () => {
    const [easy, strict] = [await startStudioServer(), await startStudioServer({ requireKey: true })];
    for (const { port } of [easy, easy, strict]) await ask(port, '/api/health', { headers: { host: 'localhost:9000' } });
    expect(easy.logLines.filter((line) => line.includes('--require-key'))).toHaveLength(1);
    expect(strict.logLines.join('')).not.toContain('--require-key');
    await easy.close();
    await strict.close();
  });

  test('a browser without the key gets a form for it, not JSON', async () => {
    const page = await ask(server.port, '/', { headers: { ...elsewhere, accept: 'text/html' } });
    expect(page.status).toBe(401);
    expect(page.body.toString()).toContain('name="token"');
  });

  test('--open lifts the key, but not for deletes, and not the other rules', async () => {
    const { port } = open;
    const id = 'c'.repeat(64);
    expect((await ask(port, '/api/health', { headers: elsewhere })).status).toBe(200);
    expect((await ask(port, `/api/jobs/${id}`, { method: 'DELETE', headers: elsewhere })).status).toBe(401);
    expect((await ask(port, `/api/jobs/${id}`, { method: 'DELETE' })).status).toBe(404);
    expect((await ask(port, `/api/jobs/${id}`, { method: 'DELETE', headers: { ...elsewhere, authorization: `Bearer ${open.accessKey.text()}` } })).status).toBe(
      404,
    );
    expect((await ask(port, '/api/health', { headers: { ...elsewhere, host: 'evil.example' } })).status).toBe(403);
    expect((await ask(port, '/api/health', { headers: { ...elsewhere, origin: 'http://evil.example' } })).status).toBe(403);
  });

  test('the checks come in their order: host, path, origin, key', async () => {
    const code = async (path: string, headers: Record<string, string>) =>
      (await ask(server.port, path, { headers: { ...elsewhere, ...headers } })).json()['code'];
    const [host, origin] = [{ host: 'evil.example' }, { origin: 'null' }];
    expect(await code('/nowhere', { ...host, ...origin })).toBe('forbidden_host');
    expect(await code('/nowhere', origin)).toBe('not_found');
    expect(await code('/api/health', origin)).toBe('forbidden_origin');
    expect(await code('/api/health', { 'sec-fetch-site': 'cross-site' })).toBe('forbidden_site');
    expect(await code('/api/health', {})).toBe('access_key_required');
  });

  test('a listed origin gets its preflight answered without a key; a foreign one does not', async () => {
    const preflight = { 'access-control-request-method': 'PUT', 'access-control-request-headers': 'authorization' };
    const listed = await ask(server.port, '/api/uploads', { method: 'OPTIONS', headers: { ...elsewhere, ...preflight, origin: LISTED_ORIGIN } });
    expect(listed.status).toBe(204);
    expect(listed.headers).toMatchObject({ 'access-control-allow-origin': LISTED_ORIGIN });
    expect(listed.headers['access-control-allow-methods']).toContain('PUT');
    const foreign = await ask(server.port, '/api/uploads', { method: 'OPTIONS', headers: { ...preflight, origin: 'http://evil.example' } });
    expect([foreign.status, foreign.headers['access-control-allow-origin']]).toEqual([403, undefined]);
  });

  test('the key is never in the log', async () => {
    const loud = await startStudioServer({ logLevel: 'trace' });
    const key = loud.accessKey.text();
    await ask(loud.port, `/?token=${key}`, { headers: elsewhere });
    await ask(loud.port, `/api/nothing?token=${key}`, { headers: { ...elsewhere, authorization: `Bearer ${key}` } });
    expect(loud.logLines.length).toBeGreaterThan(1);
    expect(loud.logLines.join('')).not.toContain(key);
    await loud.close();
  });

  test('sockets that came in with a key that was rotated are closed', async () => {
    const nervous = await startStudioServer({ socketLimits: { pingMs: 50 } });
    const { default: WebSocket } = await import('ws');
    const socket = new WebSocket(`ws://127.0.0.1:${nervous.port}/api/ws`, { headers: { ...elsewhere, authorization: `Bearer ${nervous.accessKey.text()}` } });
    await new Promise((resolve) => socket.once('open', resolve));
    rotateAccessKey(nervous.dataDir);
    const code = await new Promise((resolve) => socket.once('close', resolve));
    expect(code).toBe(1008);
    await nervous.close();
  });
});

describe('the key on disk', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'access-key-'));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  test('it is long, stays the same over starts and is readable by its owner only', () => {
    const key = loadAccessKey(dir);
    expect(key.text()).toMatch(/^[\w-]{32}$/);
    expect(loadAccessKey(dir).text()).toBe(key.text());
    expect(statSync(join(dir, 'access-key')).mode & 0o777).toBe(0o600);
  });

  test('rights that were widened are narrowed again, an empty file is filled', () => {
    writeFileSync(join(dir, 'access-key'), '', { mode: 0o644 });
    expect(loadAccessKey(dir).text()).toMatch(/^[\w-]{32}$/);
    expect(statSync(join(dir, 'access-key')).mode & 0o777).toBe(0o600);
  });

  test('a key file that is emptied or removed while the server runs is made again: an empty key lets nobody in', () => {
    const key = loadAccessKey(dir);
    const old = key.text();
    for (const change of [() => writeFileSync(join(dir, 'access-key'), ''), () => rmSync(join(dir, 'access-key'))]) {
      change();
      expect([key.matches(''), key.matches(old), key.text().length]).toEqual([false, false, 32]);
      expect(loadAccessKey(dir).text()).toBe(key.text());
    }
  });

  test.each([
    ['a folder', (path: string) => mkdirSync(path)],
    ['a pipe', (path: string) => execFileSync('mkfifo', [path])],
  ])('%s in the place of the key is an error that names it', (_, make) => {
    rmSync(join(dir, 'access-key'), { force: true });
    make(join(dir, 'access-key'));
    expect(() => loadAccessKey(dir)).toThrow(
      expect.objectContaining({ code: 'folder_not_writable', message: expect.stringContaining(join(dir, 'access-key')) }),
    );
    rmSync(join(dir, 'access-key'), { recursive: true });
  });

  test('a rotated key counts at once, the old one and its cookie no more', () => {
    const key = loadAccessKey(dir);
    const [old, cookie] = [key.text(), key.cookieValue()];
    const fresh = rotateAccessKey(dir);
    expect([key.matches(fresh), key.matches(old), key.matchesCookie(cookie)]).toEqual([true, false, false]);
  });
});

test('a rate limit: a burst, then a number per second, for each address', () => {
  let now = 0;
  const { take } = createRateLimit(10, 3, () => now);
  expect([take('a'), take('a'), take('a'), take('a')]).toEqual([0, 0, 0, 100]);
  expect(take('b')).toBe(0);
  now = 100;
  expect([take('a'), take('a')]).toEqual([0, 100]);
});

test.for([
  ['10.0.0.9', '10.0.0.9'],
  ['::ffff:10.0.0.9', '10.0.0.9'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8:1:2::1', '2001:db8:1:2'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['::1', '0:0:0:0'],
  ['', ''],
] as const)('%s is limited as %s', ([address, group]) => {
  expect(addressGroup(address)).toBe(group);
});
