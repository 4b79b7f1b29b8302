import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createWindowStates, fitToDisplays } from './window-state.ts';

const laptop = { x: 0, y: 0, width: 1440, height: 900 };
const monitor = { x: 1440, y: 0, width: 2560, height: 1440 };
const onMonitor = { bounds: { x: 1600, y: 100, width: 1800, height: 1200 }, maximized: false };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'window-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('each arrangement of screens has its own place, kept over a restart', () => {
  const file = join(folder, 'window.json');
  const states = createWindowStates(file);
  const onLaptop = { bounds: { x: 10, y: 20, width: 900, height: 700 }, maximized: true };
  states.write([laptop, monitor], onMonitor);
  states.write([laptop], onLaptop);
  const later = createWindowStates(file);
  expect(later.read([laptop, monitor])).toEqual(onMonitor);
  expect(later.read([laptop])).toEqual(onLaptop);
});

test('a place that no screen shows any more gives way to the middle of the first screen', () => {
  const { bounds } = fitToDisplays(onMonitor, [laptop]);
  expect(bounds).toEqual({ x: 80, y: 20, width: 1280, height: 860 });
});

test.each([
  ['only a sliver of it on the screen', { x: 1400, y: 0, width: 800, height: 600 }],
  ['title bar above the screen', { x: 100, y: -40, width: 800, height: 600 }],
  ['title bar below the screen', { x: 100, y: 880, width: 800, height: 600 }],
])('%s counts as out of reach', (_what, bounds) => {
  expect(fitToDisplays({ bounds, maximized: false }, [laptop]).bounds).not.toEqual(bounds);
});

test('the preferred size is cut to a small screen', () => {
  expect(fitToDisplays(undefined, [{ x: 0, y: 0, width: 1024, height: 600 }]).bounds).toEqual({ x: 0, y: 0, width: 1024, height: 600 });
});

test.each(['not json', '{"x":{"bounds":{"x":"1"}}}', '[]'])('a damaged file %j is an empty one and is written over', (text) => {
  const file = join(folder, 'window.json');
  writeFileSync(file, text);
  const states = createWindowStates(file);
  expect(states.read([laptop]).maximized).toBe(false);
  states.write([laptop], { bounds: { x: 1, y: 2, width: 800, height: 600 }, maximized: false });
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ '0,0,1440,900': { bounds: { x: 1, y: 2, width: 800, height: 600 }, maximized: false } });
});

test('one damaged entry does not cost the others', () => {
  const file = join(folder, 'window.json');
  createWindowStates(file).write([laptop, monitor], onMonitor);
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), other: { bounds: 1 } }));
  expect(createWindowStates(file).read([laptop, monitor])).toEqual(onMonitor);
});

test('a place that cannot be written holds for this run and throws nothing', () => {
  const states = createWindowStates(join(folder, 'missing', 'window.json'));
  states.write([laptop, monitor], onMonitor);
  expect(states.read([laptop, monitor])).toEqual(onMonitor);
});
