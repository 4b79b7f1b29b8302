import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientsSchema, logSchema, networkSchema } from '#shared/protocol/http.ts';
import { settingsAnswerSchema } from '#shared/protocol/settings.ts';
import { ask } from '../../tests/doubles/ask.ts';
import { type StudioServer, startStudioServer } from '../../tests/doubles/studio-server.ts';
import { addressesAt } from './routes/network.ts';

let server: StudioServer;
beforeAll(async () => {
  server = await startStudioServer();
});
afterAll(() => server.close());

const json = { 'content-type': 'application/json' };
const fromNetwork = { 'x-forwarded-for': '10.0.0.9' };
const change = (body: unknown, headers: Record<string, string> = {}) =>
  ask(server.port, '/api/settings', { method: 'PUT', headers: { ...json, ...headers }, body: JSON.stringify(body) });

describe('settings', () => {
  test('a part of them is changed, the rest stays', async () => {
    const before = settingsAnswerSchema.parse((await ask(server.port, '/api/settings')).json());
    const answer = await change({ disk_limit_gb: 20 });
    expect(answer.status).toBe(200);
    expect(settingsAnswerSchema.parse(answer.json())).toEqual({ ...before, disk_limit_gb: 20 });
  });

  test.for([
    [{ disk_limit: 20 }, 'unknown_param', 'disk_limit'],
    [{ disk_limit_gb: '20' }, 'bad_param', 'disk_limit_gb'],
    [{ disk_limit_gb: 0 }, 'bad_param', 'disk_limit_gb'],
    [{ empty_bin_after_days: 1.5 }, 'bad_param', 'empty_bin_after_days'],
    [{ window_jobs_first: null }, 'bad_param', 'window_jobs_first'],
    [{ outputs_folder: '' }, 'bad_param', 'outputs_folder'],
    [{ disk_limit_gb: 30, fixed: [] }, 'unknown_param', 'fixed'],
  ])('%j is refused by name and changes nothing', async ([body, code, field]) => {
    const before = (await ask(server.port, '/api/settings')).json();
    const answer = await change(body);
    expect([answer.status, answer.json()]).toMatchObject([400, { code, field }]);
    expect((await ask(server.port, '/api/settings')).json()).toEqual(before);
  });
});

test.for(['/api/settings', '/api/network', '/api/clients', '/api/log'])('%s needs the key from another machine, also with --open', async (path) => {
  const open = await startStudioServer({ open: true });
  try {
    for (const { port, accessKey } of [server, open]) {
      expect((await ask(port, path, { headers: fromNetwork })).json()).toMatchObject({ code: 'access_key_required' });
      expect((await ask(port, `${path}?token=${accessKey.text()}`, { headers: fromNetwork })).status).toBe(200);
    }
  } finally {
    await open.close();
  }
});

test('a prompt is measured, an unknown checkpoint refused', async () => {
  const measure = (body: object) => ask(server.port, '/api/tokens', { method: 'POST', headers: json, body: JSON.stringify(body) });
  expect((await measure({ prompt: 'a red fox' })).json()).toEqual({ count: 3, limit: 512, cut_at: null });
  expect((await measure({ prompt: 'a', model_type: 'int8' })).json()).toMatchObject({ code: 'model_not_installed' });
  expect((await measure({ prompt: 'x'.repeat(4001) })).json()).toMatchObject({ code: 'bad_param', field: 'prompt' });
});

describe('network', () => {
  test('a server for this machine alone returns no addresses', async () => {
    const network = networkSchema.parse((await ask(server.port, '/api/network')).json());
    expect(network).toEqual({ host: '127.0.0.1', port: server.port, reachable_from_network: false, key_required: true, key_included: false, addresses: [] });
  });

  test('bound to every network, each address of the machine opens the page with the key', async () => {
    const bound = await startStudioServer({ host: '0.0.0.0' });
    try {
      const network = networkSchema.parse((await ask(bound.port, `/api/network?token=${bound.accessKey.text()}`)).json());
      expect(network).toMatchObject({ host: '0.0.0.0', reachable_from_network: true });
      for (const { address, family, url } of network.addresses) {
        expect([family, url]).toEqual(['IPv4', `http://${address}:${bound.port}/?token=${bound.accessKey.text()}`]);
      }
    } finally {
      await bound.close();
    }
  });

  test('only the addresses that are listened on count', () => {
    const four = { address: '192.168.1.7', interface: 'eth0', family: 'IPv4' } as const;
    const six = { address: '2001:db8::7', interface: 'eth0', family: 'IPv6' } as const;
    expect(addressesAt('0.0.0.0', [four, six])).toEqual([four]);
    expect(addressesAt('::', [four, six])).toEqual([four, six]);
    expect(addressesAt('2001:db8::7', [four, six])).toEqual([six]);
    expect(addressesAt('127.0.0.1', [four, six])).toEqual([]);
  });
});

test('clients are listed with where they come from', async () => {
  const connection = server.jobs.connect({ clientId: 'laptop', from: 'network' }, () => {});
  const { clients, anonymous_connections } = clientsSchema.parse((await ask(server.port, '/api/clients')).json());
  expect(clients).toMatchObject([{ client_id: 'laptop', connections: 1, from: 'network' }]);
  expect(anonymous_connections).toBe(0);
  connection.close();
});

describe('the log', () => {
  test('lines are filtered by level and number, escaped and without keys', async () => {
    const { newest } = logSchema.parse((await ask(server.port, '/api/log')).json());
    server.app.log.info({ url: '/?token=SECRET', name: 'a\u202e\n' }, 'one');
    server.app.log.warn('two');
    const all = logSchema.parse((await ask(server.port, `/api/log?since=${newest}`)).json());
    expect(all.newest).toBe(newest + 2);
    expect(all.lines).toMatchObject([
      { number: newest + 1, level: 'info', text: 'one', fields: { url: '/?token=[hidden]', name: 'a\\u202e\\u000a' } },
      { number: newest + 2, level: 'warn', text: 'two' },
    ]);
    const warnings = logSchema.parse((await ask(server.port, `/api/log?since=${newest}&level=warn`)).json());
    expect(warnings.lines.map(({ text }) => text)).toEqual(['two']);
  });

  test('as text it is a file to be saved, one line an entry', async () => {
    server.app.log.warn({ device: 'cpu' }, 'last');
    const answer = await ask(server.port, '/api/log?format=text&limit=1');
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(answer.headers['content-disposition']).toMatch(/^attachment; filename="zimage-log-[\dT-]+\.txt"$/);
    expect(answer.body.toString()).toMatch(/^\d{4}-\S+Z warn {2}last \{"device":"cpu"\}\n$/);
  });

  test('the last 2,000 lines are kept', async () => {
    for (let i = 0; i < 2100; i++) server.app.log.info(`line ${i}`);
    const { lines } = logSchema.parse((await ask(server.port, '/api/log?limit=2000')).json());
    expect([lines.length, lines.at(-1)?.text]).toEqual([2000, 'line 2099']);
  });
});
