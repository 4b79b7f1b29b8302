import { expect, test } from 'vitest';
import type { ServerMessage } from '#shared/protocol/messages.ts';
import { type Activity, type EndedJob, watchActivity } from './activity.ts';

const a = 'a'.repeat(64);
const b = 'b'.repeat(64);

function watched() {
  const changes: Activity[] = [];
  const ended: EndedJob[] = [];
  const watch = watchActivity(
    (activity) => changes.push(activity),
    (job) => ended.push(job),
  );
  return { changes, ended, watch };
}

const status = (job_id: string, state: 'pending' | 'processing' | 'generated' | 'completed' | 'failed' | 'cancelled', more: object = {}): ServerMessage => ({
  type: 'job_status',
  job_id,
  status: state,
  ...more,
});
const progress = (job_id: string, percentage: number): ServerMessage => ({
  type: 'job_progress',
  job_id,
  progress: { stage: 'generating', percentage, current_step: 1, total_steps: 9, elapsed: '00:01', remaining: '00:08', speed: '1.00s/it', type: 'progress' },
});

test('two jobs from waiting to the end', () => {
  const { changes, ended, watch } = watched();
  watch.receive(status(a, 'pending'));
  watch.receive(status(b, 'pending'));
  watch.receive(status(a, 'processing'));
  watch.receive(progress(a, 44));
  watch.receive(status(a, 'generated', { result: { filename: 'a.png' } }));
  watch.receive(status(a, 'completed', { result: { filename: 'a.png', path: 'outputs/a.png', upscaled_filename: 'a-upscaled.png' } }));
  watch.receive(status(b, 'failed', { error: 'The disk is full.' }));
  expect(changes).toEqual([
    { unfinished: 1, fraction: null },
    { unfinished: 2, fraction: null },
    { unfinished: 2, fraction: 0 },
    { unfinished: 2, fraction: 0.44 },
    { unfinished: 2, fraction: 1 },
    { unfinished: 1, fraction: null },
    { unfinished: 0, fraction: null },
  ]);
  expect(ended).toEqual([
    { jobId: a, status: 'completed', filename: 'a-upscaled.png', error: null },
    { jobId: b, status: 'failed', filename: null, error: 'The disk is full.' },
  ]);
});

test('the same status to a second subscriber changes nothing, an end is reported once, a cached answer and a cancellation are not', () => {
  const { changes, ended, watch } = watched();
  watch.receive(status(a, 'pending'));
  watch.receive(status(a, 'pending'));
  watch.receive(status(a, 'completed', { result: { filename: 'a.png' } }));
  watch.receive(status(a, 'completed', { result: { filename: 'a.png' }, cached: true }));
  watch.receive(status(b, 'pending'));
  watch.receive(status(b, 'cancelled'));
  watch.receive(progress(b, 50));
  expect(changes.map(({ unfinished }) => unfinished)).toEqual([1, 0, 1, 0]);
  expect(ended).toHaveLength(1);
});
