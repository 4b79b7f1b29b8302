import { expect, test } from 'vitest';
import { desktopDataDir, parseServerUrl, serverTargets } from './server-target.ts';

test('--url wins over ZIMAGE_URL, and either over data folders', () => {
  const env = { ZIMAGE_URL: 'http://studio:8004/', ZIMAGE_KEY: 'secret', ZIMAGE_DATA_DIR: '/d' };
  expect(serverTargets({ url: 'http://10.0.0.1:9' }, '/repo', env).named).toEqual({ url: 'http://10.0.0.1:9', key: 'secret' });
  expect(serverTargets({}, '/repo', env)).toMatchObject({ named: { url: 'http://studio:8004' }, dataDirs: [] });
});

test('the bind options of a server are no target', () => {
  const env = { ZIMAGE_HOST: '10.0.0.1', ZIMAGE_PORT: '9000', HOME: '/h/u' };
  expect(serverTargets({}, '/repo', env)).toEqual({ named: null, dataDirs: ['/repo/data', '/h/u/.config/Z-Image-Turbo Studio/studio'], key: null });
});

test('a named data folder is the only one', () => {
  expect(serverTargets({ dataDir: '/named' }, '/repo', { ZIMAGE_DATA_DIR: '/other' }).dataDirs).toEqual(['/named']);
  expect(serverTargets({}, null, { ZIMAGE_DATA_DIR: '/other' }).dataDirs).toEqual(['/other']);
});

test.each([
  ['http://0.0.0.0:8004', 'http://127.0.0.1:8004'],
  ['http://[::]:8004/', 'http://[::1]:8004'],
  ['https://studio.example.org', 'https://studio.example.org'],
])('%s is called as %s', (text, url) => {
  expect(parseServerUrl(text, '--url')).toBe(url);
});

test.each(['localhost:8004', 'ftp://x', 'http://x/path', ''])('%j is no address', (text) => {
  expect(() => parseServerUrl(text, '--url')).toThrow('--url is');
});

test.each([
  ['win32', { APPDATA: 'C:\\u' }, /Z-Image-Turbo Studio/],
  ['darwin', { HOME: '/h/u' }, /^\/h\/u\/Library\/Application Support\/Z-Image-Turbo Studio\/studio$/],
  ['linux', { HOME: '/h/u', XDG_CONFIG_HOME: '/cfg' }, /^\/cfg\/Z-Image-Turbo Studio\/studio$/],
] as const)('the data folder of the desktop app on %s', (platform, env, pattern) => {
  expect(desktopDataDir(env, platform)).toMatch(pattern);
});
