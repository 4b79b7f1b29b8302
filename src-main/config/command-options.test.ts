import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('--help of a command prints its usage and is not an error', async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, '../cli/main.ts'), 'local-models', '--help']);
  expect(stdout).toMatch(/^Usage: npm run models -- COMMAND/);
  expect(stderr).toBe('');
});
