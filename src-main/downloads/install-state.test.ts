import { expect, test } from 'vitest';
import { type InstallEvent, type InstallState, next } from './install-state.ts';
import { Transfer } from './transfer.ts';

const [running, other] = [0, 1].map(
  () =>
    new Transfer(
      async () => {},
      () => {},
    ),
) as [Transfer, Transfer];
const error = { code: 'disk_full', message: 'The disk is full.' } as const;

const states: InstallState[] = [
  { at: 'absent' },
  { at: 'queued' },
  { at: 'downloading', transfer: running },
  { at: 'unpacking', transfer: running },
  { at: 'verifying', transfer: running },
  { at: 'paused' },
  { at: 'installed' },
  { at: 'damaged' },
  { at: 'failed', error },
];

/** The state after each event, in the order of `states`; `-` where it is refused. */
const table: [InstallEvent, string][] = [
  [{ type: 'install' }, 'queued queued downloading unpacking - queued installed queued queued'],
  [{ type: 'resume' }, '- queued downloading unpacking - queued - - queued'],
  [{ type: 'pause' }, '- paused paused paused - - - - -'],
  [{ type: 'remove' }, '- absent absent absent absent absent absent absent absent'],
  [{ type: 'verify', transfer: other }, '- - - - - - verifying verifying -'],
  [{ type: 'start', transfer: other }, '- downloading - - - - - - -'],
  [{ type: 'fetch' }, '- - downloading downloading - - - - -'],
  [{ type: 'unpack' }, '- - unpacking unpacking - - - - -'],
  [{ type: 'finish' }, '- - installed installed installed - - - -'],
  [{ type: 'fail', error }, '- - failed failed failed - - - -'],
];

test.each(table)('%j', (event, expected) => {
  expect(states.map((state) => next(state, event)?.at ?? '-').join(' ')).toBe(expected);
});

test('an event without effect returns the same state; running states keep or get their transfer; a failure has its error', () => {
  for (const state of states) for (const [event] of table) if (next(state, event)?.at === state.at) expect(next(state, event)).toBe(state);
  expect(next({ at: 'queued' }, { type: 'start', transfer: other })).toEqual({ at: 'downloading', transfer: other });
  expect(next({ at: 'downloading', transfer: running }, { type: 'unpack' })).toEqual({ at: 'unpacking', transfer: running });
  expect(next({ at: 'verifying', transfer: running }, { type: 'fail', error })).toEqual({ at: 'failed', error });
});
