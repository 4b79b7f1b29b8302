// Starts a packaged app with a fresh user, makes one small picture in it and ends it: node scripts/smoke-test.ts EXECUTABLE
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { makePicture, startPackaged } from '../tests/e2e/packaged-app.ts';

const [executable] = process.argv.slice(2);
if (executable === undefined) throw new Error('usage: node scripts/smoke-test.ts EXECUTABLE');
const home = mkdtempSync(join(tmpdir(), 'smoke-'));
const app = await startPackaged({ executable: resolve(executable), home });
try {
  const statuses = await makePicture(app.page);
  if (statuses.at(-1) !== 'completed') throw new Error(`the picture went ${statuses.join(', ')}`);
  process.stdout.write(`${executable}: ${statuses.join(', ')}\n`);
} finally {
  await app.close();
  rmSync(home, { recursive: true, force: true, maxRetries: 5 });
}
