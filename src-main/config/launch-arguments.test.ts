import { expect, test } from 'vitest';
import { loadConfig } from './config.ts';
import { desktopConfigArguments } from './launch-arguments.ts';

test('options of ours are taken in both spellings, the rest is left to others', () => {
  const argv = ['--no-sandbox', '--require-key', '--port', '0', '--hidden', '--device=cpu', 'zimage://create?prompt=a', '/tmp/a.png', '--user-data-dir=/tmp/u'];
  expect(desktopConfigArguments(argv, { host: '127.0.0.1', dataDir: '/tmp/d' })).toEqual([
    '--host',
    '127.0.0.1',
    '--data-dir',
    '/tmp/d',
    '--require-key',
    '--port',
    '0',
    '--device',
    'cpu',
  ]);
});

test('what comes out is a command line that the configuration accepts', () => {
  const config = loadConfig(desktopConfigArguments(['--no-sandbox', '--port=8123'], { host: '127.0.0.1', dataDir: '/tmp/d' }), {});
  expect(config).toMatchObject({ host: '127.0.0.1', port: 8123, dataDir: '/tmp/d' });
});
