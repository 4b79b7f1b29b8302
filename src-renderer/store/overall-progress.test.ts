import { expect, test } from 'vitest';
import type { ProgressStage } from '#shared/protocol/messages.ts';
import { newJob } from './jobs.ts';
import { overallProgress, timeLeft } from './overall-progress.ts';

function progress(stage: ProgressStage, current_step: number, stage_fraction?: number, remaining = '00:09') {
  const counters = { percentage: Math.floor((100 * current_step) / 9), current_step, total_steps: 9, elapsed: '00:01', remaining, speed: '1.00it/s' };
  return { stage, ...counters, type: 'progress' as const, ...(stage_fraction === undefined ? {} : { stage_fraction }) };
}

const job = { ...newJob('a'.repeat(64), 0), status: 'processing' as const };

test('progress never decreases over a whole run, including saving and upscaling', () => {
  const steps = [
    job,
    { ...job, progress: progress('loading', 0, 0) },
    { ...job, progress: progress('loading', 0, 1) },
    { ...job, progress: progress('encoding', 0) },
    ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((step) => ({ ...job, progress: progress('generating', step) })),
    { ...job, progress: progress('decoding', 9, 0.5) },
    { ...job, progress: progress('saving', 9) },
    { ...job, status: 'generated' as const, progress: progress('saving', 9) },
    { ...job, status: 'generated' as const, progress: progress('upscaling', 9, 0.25) },
    { ...job, status: 'generated' as const, progress: progress('upscaling', 9, 1) },
  ];
  const fractions = steps.map((step) => overallProgress(step).fraction);
  expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
  expect(fractions.at(-1)).toBe(1);
});

test('a stage without a percentage shows activity only', () => {
  expect(overallProgress({ ...job, progress: progress('encoding', 0) })).toMatchObject({ phase: 'encoding', isMeasured: false });
  expect(overallProgress(job)).toMatchObject({ phase: 'starting', isMeasured: false });
  expect(overallProgress({ ...job, status: 'generated' })).toMatchObject({ phase: 'upscaling', isMeasured: false });
});

test('a remaining time is shown for measured steps only', () => {
  expect(overallProgress({ ...job, progress: progress('generating', 0) }).remaining).toBeNull();
  expect(overallProgress({ ...job, progress: progress('generating', 4) }).remaining).toBe('00:09');
  expect(overallProgress({ ...job, progress: progress('generating', 8, undefined, '00:00') }).remaining).toBeNull();
  expect(overallProgress({ ...job, progress: progress('decoding', 9) }).remaining).toBeNull();
});

test('the remaining time counts down to the estimated end, and is never less than the steps need', () => {
  const drawing = { ...job, progress: progress('generating', 4) };
  const left = (finishAtMs: number | null, nowMs: number) => timeLeft({ ...drawing, finishAtMs }, overallProgress(drawing), nowMs);
  expect(left(75_000, 0)).toBe('01:15');
  expect(left(75_000, 60_000)).toBe('00:15');
  expect(left(75_000, 70_000)).toBe('00:09');
  expect(left(7_384_000, 0)).toBe('2:03:04');
  expect(left(75_000, 80_000)).toBe('00:09');
  expect(left(null, 0)).toBe('00:09');
  expect(timeLeft(job, overallProgress(job), 0)).toBeNull();
  // nothing rather than 00:00
  const last = { ...job, progress: progress('generating', 8, undefined, '00:00') };
  expect(timeLeft({ ...last, finishAtMs: 1000 }, overallProgress(last), 5000)).toBeNull();
});
