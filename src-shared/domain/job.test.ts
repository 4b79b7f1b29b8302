import { expect, test } from 'vitest';
import { isEnd, type JobEvent, type JobState, type JobStatusName, transition } from './job.ts';

const error = { code: 'internal', message: 'so', data: {} } as const;
const states: { [S in JobStatusName]: Extract<JobState, { status: S }> } = {
  pending: { status: 'pending' },
  processing: { status: 'processing' },
  generated: { status: 'generated', filename: 'a.png', setbacks: ['on the CPU'] },
  completed: { status: 'completed', result: { filename: 'a.png', upscaledFilename: 'a-upscaled.png' } },
  failed: { status: 'failed', error },
  cancelled: { status: 'cancelled' },
};
const events: { [T in JobEvent['type']]: Extract<JobEvent, { type: T }> } = {
  started: { type: 'started' },
  generated: { type: 'generated', filename: 'a.png', setbacks: ['float32'] },
  completed: { type: 'completed', result: { filename: 'a.png', upscaledFilename: 'a-upscaled.png', setbacks: ['float32', 'on the CPU'] } },
  failed: { type: 'failed', error },
  cancelled: { type: 'cancelled' },
  requested_again: { type: 'requested_again' },
};

/** The contract: pending → processing → generated → completed; cancelled from the first two; failed from any but an end; an end can be requested again. */
const allowed: { [S in JobStatusName]: Partial<Record<JobEvent['type'], JobState>> } = {
  pending: { started: { status: 'processing' }, failed: { status: 'failed', error }, cancelled: { status: 'cancelled' } },
  processing: {
    generated: { status: 'generated', filename: 'a.png', setbacks: ['float32'] },
    failed: { status: 'failed', error },
    cancelled: { status: 'cancelled' },
  },
  generated: {
    completed: { status: 'completed', result: { filename: 'a.png', upscaledFilename: 'a-upscaled.png', setbacks: ['on the CPU', 'float32'] } },
    failed: { status: 'failed', error, filename: 'a.png' },
  },
  completed: { requested_again: { status: 'pending' } },
  failed: { requested_again: { status: 'pending' } },
  cancelled: { requested_again: { status: 'pending' } },
};

const rows = Object.values(states).flatMap((state) => Object.values(events).map((event): [JobStatusName, JobEvent['type']] => [state.status, event.type]));

test.each(rows)('%s, then %s', (status, type) => {
  expect(transition(states[status], events[type])).toEqual(allowed[status][type] ?? null);
});

test('a run without setbacks has no such field', () => {
  expect(transition(states.processing, { type: 'generated', filename: 'a.png', setbacks: [] })).toEqual({ status: 'generated', filename: 'a.png' });
});

test('the ends', () => {
  expect(Object.values(states).flatMap((state) => (isEnd(state) ? [state.status] : []))).toEqual(['completed', 'failed', 'cancelled']);
});
