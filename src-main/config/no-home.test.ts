import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const script = `
import { loadConfig } from ${JSON.stringify(join(import.meta.dirname, 'config.ts'))};
console.log(loadConfig(['--data-dir', '/d'], {}).hub.cacheDir);
try { loadConfig(['--data-dir', '~/d'], {}); } catch (error) { console.log(error.code, error.message); }
`;

/** A user id that no list of users names can only be taken by root. */
test.skipIf(process.getuid?.() !== 0)('a user without HOME and without an entry among the users: downloads go to the data folder, ~ is refused', () => {
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { uid: 54_321, gid: 54_321, env: {}, encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(stdout).toBe('/d/huggingface/hub\nbad_option The folder ~/d starts in the home folder, and this user has none. Set HOME, or write the folder out.\n');
});
