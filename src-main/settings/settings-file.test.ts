import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { SettingsFile } from './settings-file.ts';

function openOver(text: string | Uint8Array) {
  const dataDir = mkdtempSync(join(tmpdir(), 'zimage-settings-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const path = join(dataDir, 'settings.json');
  writeFileSync(path, text);
  const warnings: string[] = [];
  const file = new SettingsFile({ dataDir, outputsDir: '/pictures', log: { warn: (_, message) => void warnings.push(message) } });
  return { file, warnings, json: (): unknown => JSON.parse(readFileSync(path, 'utf8')) };
}

test('a byte order mark, as editors write it, is no damage', async () => {
  const { file, warnings } = openOver('\ufeff{"empty_bin_after_days": 7}');
  expect([file.settings.empty_bin_after_days, warnings]).toEqual([7, []]);
});

test('one value of a newer version falls back alone, and stays in the file with what else is not known', async () => {
  const { file, warnings, json } = openOver('{"device": "npu:3", "disk_limit_gb": 5, "later_setting": [1]}');
  expect(file.settings).toMatchObject({ device: 'auto', disk_limit_gb: 5, outputs_folder: '/pictures' });
  expect(warnings).toHaveLength(1);
  await file.change({ disk_limit_gb: 6 });
  expect(json()).toEqual({ device: 'npu:3', disk_limit_gb: 6, later_setting: [1] });
});

test('changes at once are all kept, and each earlier folder of images is remembered once', async () => {
  const { file, json } = openOver('{}');
  await Promise.all([
    file.change({ outputs_folder: '/a' }),
    file.change({ disk_limit_gb: 3 }),
    file.change({ outputs_folder: '/b' }),
    file.change({ outputs_folder: '/a' }),
  ]);
  expect(json()).toEqual({ outputs_folder: '/a', disk_limit_gb: 3, earlier_outputs_folders: ['/pictures', '/a', '/b'] });
  expect(file.earlierFolders).toEqual(['/pictures', '/b']);
});
