// Starts a packaged app as a new user, generates one small image and closes its window; the app must then quit: node scripts/smoke-test.ts EXECUTABLE
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { makeImage, startPackaged } from '../tests/e2e/packaged-app.ts';

const [executable] = process.argv.slice(2);
if (executable === undefined) throw new Error('usage: node scripts/smoke-test.ts EXECUTABLE');
const home = mkdtempSync(join(tmpdir(), 'smoke-'));
const app = await startPackaged({ executable: resolve(executable), home });
try {
  const statuses = await makeImage(app.page);
  if (statuses.at(-1) !== 'completed') throw new Error(`the image's statuses were ${statuses.join(', ')}`);
  await app.page.close();
  const code = await app.ended;
  if (code !== 0) throw new Error(`the app ended with ${code} when its window was closed`);
  process.stdout.write(`${executable}: ${statuses.join(', ')}\n`);
} finally {
  await app.close();
  rmSync(home, { recursive: true, force: true, maxRetries: 5 });
}
