import { expect, test } from 'vitest';
import { Coalescer, formatDuration, formatSpeed, ProgressMeter } from './progress.ts';

test.each([
  [0, '00:00'],
  [999, '00:00'],
  [1000, '00:01'],
  [59_999, '00:59'],
  [60_000, '01:00'],
  [3_599_999, '59:59'],
  [3_600_000, '1:00:00'],
  [36_061_000, '10:01:01'],
  [-5, '00:00'],
])('%d ms reads %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test.each([
  [3750, '3.75s/it'],
  [1001, '1.00s/it'],
  [1000, '1.00it/s'],
  [250, '4.00it/s'],
  [12_345, '12.35s/it'],
])('%d ms a step read %s', (ms, text) => {
  expect(formatSpeed(ms)).toBe(text);
});

test("the contract's example: step 4 of 9 after 15 seconds", () => {
  const meter = new ProgressMeter(9, 0);
  meter.modelTaken(1000);
  meter.read({ stage: 'encoding', done: 1, total: 1 }, 2000);
  for (const step of [1, 2, 3]) meter.read({ stage: 'generating', done: step, total: 9 }, 2000 + step * 3750);
  expect(meter.read({ stage: 'generating', done: 4, total: 9 }, 17_000)).toEqual({
    everyStep: true,
    progress: {
      stage: 'generating',
      percentage: 44,
      current_step: 4,
      total_steps: 9,
      elapsed: '00:15',
      remaining: '00:18',
      speed: '3.75s/it',
      type: 'progress',
    },
  });
});

test('the percentage is the floor of step / steps, and the last message shows the speed of the forwards', () => {
  const meter = new ProgressMeter(9, 0);
  const readings = [1, 2, 3, 4, 5, 6, 7, 8].map((step) => meter.read({ stage: 'generating', done: step, total: 9 }, step * 500)?.progress.percentage);
  expect(readings).toEqual([11, 22, 33, 44, 55, 66, 77, 88]);
  expect(meter.read({ stage: 'generating', done: 9, total: 9 }, 4000)?.progress).toMatchObject({ percentage: 100, remaining: '00:00', speed: '2.00it/s' });
});

test('other stages keep the denoising counters and tell their own part', () => {
  const meter = new ProgressMeter(4, 0);
  const loading = meter.read({ stage: 'loading', done: 1, total: 4 }, 10)?.progress;
  expect(loading).toMatchObject({
    stage: 'loading',
    percentage: 0,
    current_step: 0,
    elapsed: '00:00',
    remaining: '',
    speed: '0.00it/s',
    stage_fraction: 0.25,
  });
  expect(meter.read({ stage: 'generating', done: 0, total: 4 }, 5000)).toBeNull();
  for (const step of [1, 2, 3, 4]) meter.read({ stage: 'generating', done: step, total: 4 }, 5000 + 2000 * Math.min(step, 3));
  const upscaling = meter.read({ stage: 'upscaling', done: 3, total: 4 }, 60_000);
  expect(upscaling).toEqual({
    everyStep: false,
    progress: {
      stage: 'upscaling',
      percentage: 100,
      current_step: 4,
      total_steps: 4,
      elapsed: '00:06',
      remaining: '',
      speed: '2.00s/it',
      type: 'progress',
      stage_fraction: 0.75,
    },
  });
});

test('the counters never fall when the engine restarts a task', () => {
  const meter = new ProgressMeter(4, 0);
  for (const step of [1, 2, 3]) meter.read({ stage: 'generating', done: step, total: 4 }, step);
  expect(meter.read({ stage: 'loading', done: 0, total: 1 }, 4)?.progress).toMatchObject({ percentage: 75, current_step: 3 });
  expect(meter.read({ stage: 'generating', done: 2, total: 4 }, 5)).toMatchObject({ everyStep: false, progress: { current_step: 3, stage_fraction: 0.5 } });
  expect(meter.read({ stage: 'generating', done: 4, total: 4 }, 6)).toMatchObject({ everyStep: true, progress: { current_step: 4 } });
});

test.each([
  ['in the first step', 0],
  ['in the fourth', 3],
])('a sleep of the machine %s is not counted as work: no time left of a quarter of an hour for seconds', (_, sleepsBefore) => {
  const meter = new ProgressMeter(50, 0);
  let nowMs = 0;
  const remaining = [1, 2, 3, 4, 5].map((step) => {
    nowMs += step - 1 === sleepsBefore ? 3_600_000 : 1000;
    return meter.read({ stage: 'generating', done: step, total: 50 }, nowMs)?.progress.remaining;
  });
  expect(remaining.at(-1)).toBe('01:03');
  expect(meter.stalledMs).toBe(3_600_000 - 3000);
});

test('a coalescer lets one value through in each interval, the newest, and steps at once', () => {
  const clock = new SteppedClock();
  const sent: [number, string][] = [];
  const coalescer = new Coalescer<string>(100, clock, (value) => sent.push([clock.monotonicMs(), value]));
  coalescer.offer('a');
  coalescer.offer('b');
  clock.advanceTo(40);
  coalescer.offer('c');
  clock.advanceTo(150);
  coalescer.offer('d');
  coalescer.sendNow('step');
  clock.advanceTo(249);
  coalescer.offer('e');
  clock.advanceTo(400);
  coalescer.offer('f');
  coalescer.offer('g');
  coalescer.drop();
  clock.advanceTo(1000);
  expect(sent).toEqual([
    [0, 'a'],
    [100, 'c'],
    [150, 'step'],
    [250, 'e'],
    [400, 'f'],
  ]);
});

class SteppedClock {
  #now = 0;
  #timers: { atMs: number; task: () => void }[] = [];

  monotonicMs(): number {
    return this.#now;
  }

  schedule(task: () => void, delayMs: number): () => void {
    const timer = { atMs: this.#now + delayMs, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  advanceTo(ms: number): void {
    for (;;) {
      const next = this.#timers.sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > ms) break;
      this.#timers.shift();
      this.#now = next.atMs;
      next.task();
    }
    this.#now = ms;
  }
}
