import type { MenuItemConstructorOptions } from 'electron';
import { expect, test } from 'vitest';
import { menuTemplate } from './menu.ts';
import { textsFor } from './texts.ts';
import { trayTemplate } from './tray.ts';

const english = textsFor('en-GB');

function click(items: readonly MenuItemConstructorOptions[], label: string): void {
  const all = items.flatMap((item) => [item, ...(Array.isArray(item.submenu) ? item.submenu : [])]);
  const item = all.find((candidate) => candidate.label === label);
  if (!item?.click) throw new Error(`no item ${label} to click among ${all.map((candidate) => candidate.label).join(', ')}`);
  Reflect.apply(item.click, undefined, []);
}

test('menu items send what they say', () => {
  const done: unknown[] = [];
  const actions = { send: (command: unknown) => done.push(command), checkForUpdates: () => done.push('updates'), quit: () => done.push('quit') };
  for (const platform of ['linux', 'win32', 'darwin'] as const) {
    const menu = menuTemplate(english, actions, platform);
    for (const label of [english.newImage, english.gallery, english.settings, english.checkForUpdates, english.quit]) click(menu, label);
    expect(done.splice(0)).toEqual([
      { command: 'go', screen: 'create' },
      { command: 'go', screen: 'gallery' },
      { command: 'go', screen: 'settings' },
      'updates',
      'quit',
    ]);
  }
});

test('no key is bound twice', () => {
  const keys = menuTemplate(english, { send: () => {}, checkForUpdates: () => {}, quit: () => {} }, 'linux')
    .flatMap((item) => (Array.isArray(item.submenu) ? item.submenu : []))
    .flatMap((item) => item.accelerator ?? []);
  expect(keys.length).toBeGreaterThan(2);
  expect(new Set(keys).size).toBe(keys.length);
});

test('the tray shows the jobs in progress, the queue switch and the recent images', () => {
  const done: unknown[] = [];
  const actions = {
    open: () => done.push('open'),
    showImage: (id: string) => done.push(id),
    setPaused: (paused: boolean) => done.push(paused),
    checkForUpdates: () => done.push('updates'),
    quit: () => done.push('quit'),
  };
  const images = [
    { jobId: 'j1', prompt: 'cats & dogs' },
    { jobId: 'j2', prompt: `${'雪'.repeat(60)}` },
  ];
  const tray = trayTemplate(english, { activity: { unfinished: 2, fraction: 0.449 }, isPaused: false, images, isAttached: false, offered: '0.2.0' }, actions);
  expect(tray[0]).toMatchObject({ label: '2 images in progress', enabled: false });
  for (const label of [english.open, english.pauseQueue, 'cats && dogs', `${'雪'.repeat(47)}…`, 'Version 0.2.0 is available…', english.quit])
    click(tray, label);
  expect(done).toEqual(['open', true, 'j1', 'j2', 'updates', 'quit']);

  const idle = trayTemplate(english, { activity: { unfinished: 0, fraction: null }, isPaused: true, images: [], isAttached: true, offered: null }, actions);
  expect(idle.slice(0, 2).map(({ label }) => label)).toEqual(['Idle', english.attached]);
  expect(tray.map(({ label }) => label)).not.toContain(english.attached);
  click(idle, english.resumeQueue);
  expect(done.at(-1)).toBe(false);
  click(idle, english.checkForUpdates);
  expect(done.at(-1)).toBe('updates');
  expect(idle.find(({ label }) => label === english.recentImages)?.enabled).toBe(false);
});

test('Chinese for every Chinese locale, English for the rest', () => {
  for (const locale of ['zh', 'zh-CN', 'zh-Hant-TW', 'ZH_cn']) expect(textsFor(locale).quit).toBe('退出');
  for (const locale of ['en', 'de', '', 'zhx']) expect(textsFor(locale).quit).toBe('Quit');
});
