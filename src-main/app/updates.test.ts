import { expect, test } from 'vitest';
import type { Release, UpdateState } from '#shared/protocol/desktop.ts';
import { UpdateRefusal } from './update-refusal.ts';
import { createUpdates, type PackageUpdater } from './updates.ts';

const release: Release = { version: '0.2.0', notes: 'Faster.', sizeBytes: 300 };

/** A feed and an installer in memory. */
function world(change: Partial<PackageUpdater> = {}) {
  const done: string[] = [];
  const states: UpdateState[] = [];
  let finishDownload: () => void = () => {};
  const updater: PackageUpdater = {
    installsAtQuit: true,
    find: async () => release,
    download: (onReceived, signal) =>
      new Promise((resolve, reject) => {
        onReceived(100);
        finishDownload = resolve;
        signal.addEventListener('abort', () => reject(new Error('cancelled')));
      }),
    install: async (restart) => void done.push(restart ? 'installed, started' : 'installed'),
    ...change,
  };
  const updates = createUpdates({ updater, onChange: (state) => states.push(state), restart: () => done.push('restart') });
  const fetchAll = async (): Promise<void> => {
    await updates.check();
    updates.download();
    finishDownload();
    await expect.poll(() => updates.state().state).not.toBe('downloading');
  };
  return { updates, states, done, fetchAll };
}

test('every step is a state, and nothing happens that was not asked for', async () => {
  const { updates, states, done, fetchAll } = world();
  expect(updates.state()).toEqual({ state: 'none', checkedAt: null });
  expect(updates.download()).toEqual({ state: 'none', checkedAt: null });
  expect(updates.install()).toEqual({ state: 'none', checkedAt: null });
  await fetchAll();
  expect(states).toEqual([
    { state: 'checking' },
    { ...release, state: 'available' },
    { ...release, state: 'downloading', receivedBytes: 0 },
    { ...release, state: 'downloading', receivedBytes: 100 },
    { ...release, state: 'ready', atQuit: true, waitsForJobs: false },
  ]);
  expect(await updates.check()).toMatchObject({ state: 'ready' });
  expect(done).toEqual([]);
});

test('it restarts at once without jobs, and after the last one with them', async () => {
  const { updates, done, fetchAll } = world();
  await fetchAll();
  updates.jobsChanged(true);
  expect(updates.install()).toMatchObject({ state: 'ready', waitsForJobs: true });
  updates.jobsChanged(true);
  expect(done).toEqual([]);
  updates.cancel();
  updates.jobsChanged(false);
  expect(done).toEqual([]);
  updates.jobsChanged(true);
  updates.install();
  updates.jobsChanged(false);
  expect(done).toEqual(['restart']);
  await updates.installReady(true);
  expect(done).toEqual(['restart', 'installed, started']);
});

test('at a quit only what needs no question is installed', async () => {
  for (const installsAtQuit of [true, false]) {
    const { updates, done, fetchAll } = world({ installsAtQuit });
    await updates.installReady(false);
    await fetchAll();
    await updates.installReady(false);
    expect(done).toEqual(installsAtQuit ? ['installed'] : []);
  }
});

test('a download that is cancelled can be had again', async () => {
  const { updates } = world();
  await updates.check();
  updates.download();
  updates.cancel();
  await expect.poll(() => updates.state()).toEqual({ ...release, state: 'available' });
  expect(updates.download()).toMatchObject({ state: 'downloading' });
});

test('a refusal is a state from which one can ask again', async () => {
  let answer: () => Promise<Release | null> = () => Promise.reject(new UpdateRefusal('unreachable', 'no network'));
  const { updates } = world({ find: () => answer(), download: () => Promise.reject(new UpdateRefusal('wrong_hash', 'SHA-512')) });
  expect(await updates.check()).toEqual({ state: 'failed', reason: 'unreachable', detail: 'no network' });
  answer = async () => null;
  expect(await updates.check()).toEqual({ state: 'none', checkedAt: expect.any(String) });
  answer = async () => release;
  await updates.check();
  updates.download();
  await expect.poll(() => updates.state()).toEqual({ state: 'failed', reason: 'wrong_hash', detail: 'SHA-512' });
});

test('an unexpected error ends the step too, and the next check works', async () => {
  let find: () => Promise<Release | null> = () => Promise.reject(new TypeError('x is not a function'));
  const { updates } = world({ find: () => find(), download: () => Promise.reject(new RangeError('out of range')) });
  expect(await updates.check()).toEqual({ state: 'failed', reason: 'unexpected', detail: 'x is not a function' });
  find = async () => release;
  expect(await updates.check()).toMatchObject({ state: 'available' });
  updates.download();
  await expect.poll(() => updates.state()).toEqual({ state: 'failed', reason: 'unexpected', detail: 'out of range' });
});

test('an updater that throws at once is no different', async () => {
  const throwing = (): never => {
    throw new TypeError('broken');
  };
  const { updates } = world({ find: throwing });
  expect(await updates.check()).toMatchObject({ state: 'failed', reason: 'unexpected' });
  const other = world({ download: throwing });
  await other.updates.check();
  other.updates.download();
  await expect.poll(() => other.updates.state()).toMatchObject({ state: 'failed', reason: 'unexpected' });
});

test('a build without a feed, or with another installer, says so and never checks', async () => {
  for (const reason of ['no_feed', 'other_installer'] as const) {
    const updates = createUpdates({ updater: reason, onChange: () => {}, restart: () => {} });
    expect([await updates.check(), updates.download(), updates.cancel(), updates.install()]).toEqual(Array(4).fill({ state: 'off', reason }));
    await updates.installReady(true);
  }
});
