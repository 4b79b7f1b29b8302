import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runningBlockers } from '../../tests/doubles/electron.ts';
import { createDesktopSettings, defaultDesktopSettings } from './desktop-settings.ts';
import { autostartEntry } from './login-item.ts';
import { createSleepBlocker } from './sleep-blocker.ts';

const log = { warn: () => {} };
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'settings-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a change reaches the listeners, the disk and the next start', async () => {
  const file = join(folder, 'desktop.json');
  const store = createDesktopSettings(file, log);
  const heard: boolean[] = [];
  store.onChange(async ({ closeToTray, startAtLogin }) => {
    heard.push(closeToTray);
    if (startAtLogin) throw new Error('the autostart folder is read-only');
  });
  expect(await store.change({ closeToTray: true })).toEqual({ ...defaultDesktopSettings, closeToTray: true });
  expect(heard).toEqual([true]);
  await expect(store.change({ startAtLogin: true })).rejects.toThrow('read-only');
  expect(createDesktopSettings(file, log).get().closeToTray).toBe(true);
});

test.each([
  ['{"closeToTray":true,"fromTheFuture":1}', true],
  ['{"closeToTray":"yes"}', false],
  ['half a fi', false],
])('a file with %s gives closeToTray %j', (text, closeToTray) => {
  writeFileSync(join(folder, 'desktop.json'), text);
  expect(createDesktopSettings(join(folder, 'desktop.json'), log).get()).toEqual({ ...defaultDesktopSettings, closeToTray });
});

test('two changes at once are both kept', async () => {
  const file = join(folder, 'desktop.json');
  const store = createDesktopSettings(file, log);
  await Promise.all([store.change({ closeToTray: true }), store.change({ language: 'zh' })]);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ closeToTray: true, language: 'zh' });
});

test('one bad value and a value of a newer version are kept in the file, and the other settings hold', async () => {
  const file = join(folder, 'desktop.json');
  writeFileSync(file, '\ufeff{"closeToTray":true,"language":"fr","fromTheFuture":1}');
  const store = createDesktopSettings(file, log);
  expect(store.get()).toEqual({ ...defaultDesktopSettings, closeToTray: true });
  await store.change({ notifications: false });
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ closeToTray: true, language: 'fr', fromTheFuture: 1, notifications: false });
});

test('sleep is blocked once while busy and not otherwise', () => {
  const keepAwake = createSleepBlocker();
  for (const [isBusy, blockers] of [
    [false, 0],
    [true, 1],
    [true, 1],
    [false, 0],
    [false, 0],
    [true, 1],
  ] as const) {
    keepAwake(isBusy);
    expect(runningBlockers.size).toBe(blockers);
  }
});

test('the autostart entry quotes what the Exec key gives a meaning to', () => {
  expect(autostartEntry('/opt/a b/z$tudio"100%')).toContain('Exec="/opt/a b/z\\\\$tudio\\\\"100%%" --hidden\n');
  expect(autostartEntry('/opt/a b/z')).toContain('\nTryExec=/opt/a b/z\n');
});
