import type { AppError } from '#shared/protocol/errors.ts';
import type { Transfer } from './transfer.ts';

/** How far the installation of one thing is: a model or the CUDA pack. */
export type InstallState =
  | { at: 'absent' | 'queued' | 'paused' | 'installed' | 'damaged' }
  | { at: 'downloading' | 'unpacking' | 'verifying'; transfer: Transfer }
  | { at: 'failed'; error: InstallError };

type InstallError = Pick<AppError, 'code' | 'message'>;

/** Commands of users, then what happens during the work. */
export type InstallEvent =
  | { type: 'install' | 'resume' | 'pause' | 'remove' }
  | { type: 'verify' | 'start'; transfer: Transfer }
  | { type: 'fetch' | 'unpack' | 'finish' }
  | { type: 'fail'; error: InstallError };

type At = InstallState['at'];

/** From which state an event leads to which; it is refused in all others. An event that leads to the state it came from changes nothing. */
const moves: Record<InstallEvent['type'], Partial<Record<At, At>>> = {
  install: {
    absent: 'queued',
    paused: 'queued',
    failed: 'queued',
    damaged: 'queued',
    queued: 'queued',
    downloading: 'downloading',
    unpacking: 'unpacking',
    installed: 'installed',
  },
  resume: { paused: 'queued', failed: 'queued', queued: 'queued', downloading: 'downloading', unpacking: 'unpacking' },
  pause: { queued: 'paused', downloading: 'paused', unpacking: 'paused' },
  remove: {
    queued: 'absent',
    paused: 'absent',
    installed: 'absent',
    damaged: 'absent',
    downloading: 'absent',
    unpacking: 'absent',
    verifying: 'absent',
    failed: 'absent',
  },
  verify: { installed: 'verifying', damaged: 'verifying' },
  start: { queued: 'downloading' },
  fetch: { downloading: 'downloading', unpacking: 'downloading' },
  unpack: { downloading: 'unpacking', unpacking: 'unpacking' },
  finish: { downloading: 'installed', unpacking: 'installed', verifying: 'installed' },
  fail: { downloading: 'failed', unpacking: 'failed', verifying: 'failed' },
};

/** The state after `event`, the same object if nothing changes, or null if the event is not possible in this state. */
export function next(state: InstallState, event: InstallEvent): InstallState | null {
  const at = moves[event.type][state.at];
  if (at === undefined) return null;
  if (at === state.at) return state;
  if (event.type === 'fail') return { at: 'failed', error: event.error };
  if (at === 'downloading' || at === 'unpacking' || at === 'verifying') {
    const transfer = 'transfer' in event ? event.transfer : 'transfer' in state ? state.transfer : null;
    return transfer === null ? null : { at, transfer };
  }
  return at === 'failed' ? null : { at };
}
