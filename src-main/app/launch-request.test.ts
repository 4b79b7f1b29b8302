import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { commandOfLink, readLaunchRequest } from './launch-request.ts';

const png = Buffer.from('89504e470d0a1a0a0000', 'hex');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'launch-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a link fills the form, numbers as numbers, and only with params of a job', () => {
  expect(commandOfLink('zimage://create?prompt=a%20red%20fox&width=512&seed=7&model_type=int8&autostart=1')).toEqual({
    command: 'fill',
    params: { prompt: 'a red fox', width: 512, seed: 7, model_type: 'int8' },
  });
  expect(commandOfLink('zimage:create?prompt=雪')).toEqual({ command: 'fill', params: { prompt: '雪' } });
});

test('a link without params opens the form as it is', () => {
  expect(commandOfLink('zimage://create')).toEqual({ command: 'go', screen: 'create' });
  expect(commandOfLink('zimage://create?width=wide&seed=')).toEqual({ command: 'go', screen: 'create' });
});

test.each(['https://example.org/?prompt=a', 'zimage', `zimage://create?prompt=${'a'.repeat(20_000)}`, 'javascript:alert(1)'])(
  '%.40s is no link of ours',
  (link) => {
    expect(commandOfLink(link)).toBeNull();
  },
);

test('links and images among the arguments are taken in their order, relative paths from the folder of the start', async () => {
  writeFileSync(join(folder, 'an image.PNG'), png);
  const commands = await readLaunchRequest(['--no-sandbox', 'an image.PNG', 'zimage://create?seed=1', join(folder, 'an image.PNG')], folder);
  const image = { command: 'open_image', name: 'an image.PNG', png: new Uint8Array(png) };
  expect(commands).toEqual([image, { command: 'fill', params: { seed: 1 } }, image]);
});

test('what is not an image is ignored: other content, no file, a folder, far too large', async () => {
  writeFileSync(join(folder, 'text.png'), 'text');
  writeFileSync(join(folder, 'huge.png'), png);
  truncateSync(join(folder, 'huge.png'), 2 ** 31);
  expect(await readLaunchRequest(['text.png', 'absent.png', '.png', 'huge.png', '--a.png', 'notes.txt'], folder)).toEqual([]);
});
