import { expect, test } from 'vitest';
import { waitForLock } from './wait-for-lock.ts';

/** Fails `times` times, then answers with the number of calls. */
function locked(code: string, times: number) {
  let calls = 0;
  return () => (++calls > times ? Promise.resolve(calls) : Promise.reject(Object.assign(new Error(code), { code })));
}
const noWait = () => Promise.resolve();

test('waits while another program holds the file', async () => {
  await expect(waitForLock(locked('EBUSY', 3), 'linux', noWait)).resolves.toBe(4);
  await expect(waitForLock(locked('EPERM', 3), 'win32', noWait)).resolves.toBe(4);
  await expect(waitForLock(locked('EACCES', 3), 'win32', noWait)).resolves.toBe(4);
});

test('gives up in the end, and at once on other errors', async () => {
  let waitedMs = 0;
  const wait = async (ms: number) => {
    waitedMs += ms;
  };
  await expect(waitForLock(locked('EBUSY', 100), 'linux', wait)).rejects.toMatchObject({ code: 'EBUSY' });
  expect(waitedMs).toBeGreaterThan(1000);
  waitedMs = 0;
  await expect(waitForLock(locked('EACCES', 1), 'linux', wait)).rejects.toMatchObject({ code: 'EACCES' });
  expect(waitedMs).toBe(0);
});
