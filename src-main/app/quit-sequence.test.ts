import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createQuitSequence, type QuitSequenceOptions } from './quit-sequence.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function world(change: Partial<QuitSequenceOptions> = {}) {
  const done: string[] = [];
  const sequence = createQuitSequence({
    confirm: async () => true,
    begin: () => done.push('begin'),
    close: async () => void done.push('closed'),
    install: async (restart) => void done.push(restart ? 'installed, restarted' : 'installed'),
    exit: (isClosed) => done.push(isClosed ? 'quit' : 'exit'),
    report: (_error, text) => done.push(text),
    deadlineMs: 20_000,
    ...change,
  });
  const settle = (ms = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
  return { sequence, done, settle };
}
const never = (): Promise<never> => new Promise(() => {});

test('a user is asked, then everything closes, an update is installed, and the process ends', async () => {
  const { sequence, done, settle } = world();
  sequence.byUser();
  await settle();
  expect(done).toEqual(['begin', 'closed', 'installed', 'quit']);
});

test('a user who says no goes on, and is asked again at the next time', async () => {
  const answers = [false, true];
  const { sequence, done, settle } = world({ confirm: async () => answers.shift() ?? false });
  sequence.byUser();
  sequence.byUser();
  await settle();
  expect(done).toEqual([]);
  sequence.byUser();
  await settle();
  expect(done.at(-1)).toBe('quit');
});

test('a signal asks no question and installs nothing, also while a question is open', async () => {
  const { sequence, done, settle } = world({ confirm: never });
  sequence.byUser();
  sequence.bySignal();
  await settle();
  expect(done).toEqual(['begin', 'closed', 'quit']);
});

test('a server that does not close is given 20 s, and nothing is installed beside it', async () => {
  for (const way of ['byUser', 'bySignal', 'forUpdate'] as const) {
    const { sequence, done, settle } = world({ close: never });
    sequence[way]();
    await settle(19_999);
    expect(done).toEqual(['begin']);
    await settle(1);
    expect(done).toEqual(['begin', expect.stringContaining('20 s'), 'exit']);
  }
});

test('a second signal exits at once, but never in the middle of an installation', async () => {
  const closing = world({ close: never });
  closing.sequence.bySignal();
  closing.sequence.bySignal();
  expect(closing.done).toEqual(['begin', 'exit']);

  const installing = world({ install: never });
  installing.sequence.forUpdate();
  await installing.settle();
  installing.sequence.bySignal();
  expect(installing.done).toEqual(['begin', 'closed']);
});

test('an error on the way out is reported and does not stop it', async () => {
  const fail = async (): Promise<never> => {
    throw new Error('broken');
  };
  const cannotClose = world({ close: fail });
  cannotClose.sequence.byUser();
  await cannotClose.settle();
  expect(cannotClose.done).toEqual(['begin', 'the server did not close cleanly', 'exit']);

  const cannotInstall = world({ install: fail });
  cannotInstall.sequence.forUpdate();
  await cannotInstall.settle();
  expect(cannotInstall.done).toEqual(['begin', 'closed', 'the update could not be installed', 'quit']);

  const cannotAsk = world({ confirm: fail });
  cannotAsk.sequence.byUser();
  await cannotAsk.settle();
  cannotAsk.sequence.bySignal();
  await cannotAsk.settle();
  expect(cannotAsk.done).toEqual(['the question before quitting could not be shown', 'begin', 'closed', 'quit']);
});
