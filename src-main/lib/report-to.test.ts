import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';

/** Reports 2 MB on both streams, then says over its IPC channel that it still runs. */
const script = `
import { reportTo } from ${JSON.stringify(join(import.meta.dirname, 'report-to.ts'))};
const [out, err] = [reportTo(process.stdout), reportTo(process.stderr)];
let rounds = 0;
const timer = setInterval(() => {
  for (const report of [out, err]) report.write('x'.repeat(99_999) + '\\n');
  if (++rounds < 40) return;
  clearInterval(timer);
  process.send?.('alive');
  process.disconnect?.();
  if (process.argv.includes('--stay')) setInterval(() => {}, 1000);
  else process.exit(7);
}, 5);
`;
const args = ['--input-type=module', '--eval', script];

test('a reader that closes its end', async () => {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  child.stdout?.destroy();
  child.stderr?.destroy();
  const [[message], [status]] = await Promise.all([once(child, 'message'), once(child, 'exit')]);
  expect([message, status]).toEqual(['alive', 7]);
});

test('a reader that does not read', async () => {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const [[message], [status]] = await Promise.all([once(child, 'message'), once(child, 'exit')]);
  expect([message, status]).toEqual(['alive', 7]);
});

test('what is read arrives whole and in order', () => {
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', script.replace('process.exit(7)', '0')], { maxBuffer: 1e8 });
  expect([stdout.length, status]).toEqual([4_000_000, 0]);
});

test.skipIf(!existsSync('/dev/full'))('a full disk behind the redirection', async () => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, args, { stdio: ['ignore', full, full, 'ipc'] });
  const [[message], [status]] = await Promise.all([once(child, 'message'), once(child, 'exit')]);
  closeSync(full);
  expect([message, status]).toEqual(['alive', 7]);
});

const hasScript = spawnSync('script', ['--version']).status === 0;
test.skipIf(!hasScript)('a terminal that is stopped', async () => {
  // script copies from its terminal to its own output, which is not read here
  const command = `${process.execPath} ${args.slice(0, 1).join(' ')} --eval "$CODE"`;
  const child = spawn('script', ['--quiet', '--return', '--command', `${command}; echo status $? >&3`, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore', 'pipe'],
    env: { ...process.env, CODE: script },
  });
  const reports = child.stdio[3];
  if (!reports || !('on' in reports)) throw new Error('there is no fourth pipe');
  const [line] = await once(createInterface({ input: reports as NodeJS.ReadableStream }), 'line');
  child.kill();
  expect(line).toBe('status 7');
});
