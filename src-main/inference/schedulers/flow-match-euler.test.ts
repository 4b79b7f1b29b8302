import { expect, test } from 'vitest';
import { readGoldens } from '../../../tests/support/read-goldens.ts';
import { needsSharedFolder, sharedCheckpoints, sharedPath } from '../../../tests/support/shared-folder.ts';
import { checkedFirstForward, eulerStep, loadSchedulerConfig, parseSchedulerConfig, sigmasFor } from './flow-match-euler.ts';

test('sigmas equal the sigmas of diffusers, whose N steps are our N + 1', async (context) => {
  needsSharedFolder(context);
  let compared = 0;
  for (const checkpoint of sharedCheckpoints) {
    const { shift } = await loadSchedulerConfig(sharedPath(checkpoint, 'scheduler'));
    const { floats } = await readGoldens(sharedPath(`${checkpoint}.expected.safetensors`));
    for (const [name, expected] of floats) {
      const [, steps] = /^scheduler\.(\d+)\.\d+\.sigmas$/.exec(name) ?? [];
      if (steps === undefined) continue;
      const ours = sigmasFor(Number(steps) + 1, shift);
      expect(ours.length).toBe(expected.length);
      expect(Math.max(...ours.map((sigma, i) => Math.abs(sigma - (expected[i] as number))))).toBeLessThan(1e-6);
      compared++;
    }
  }
  expect(compared).toBeGreaterThanOrEqual(15 * sharedCheckpoints.length);
});

test('one step and two steps are one forward, from pure noise to none', () => {
  expect([...sigmasFor(1, 3)]).toEqual([1, 0]);
  expect([...sigmasFor(2, 3)]).toEqual([1, 0]);
});

test('every count of steps starts at 1, falls all the way and ends at 0', () => {
  for (let steps = 1; steps <= 50; steps++) {
    const sigmas = [...sigmasFor(steps, 3)];
    expect(sigmas).toHaveLength(Math.max(1, steps - 1) + 1);
    expect([sigmas[0], sigmas.at(-1)]).toEqual([1, 0]);
    expect(sigmas.every((sigma, i) => i === 0 || sigma < (sigmas[i - 1] as number))).toBe(true);
  }
});

test('a shift of 3 moves half the way to three quarters; of 1, nowhere', () => {
  expect([...sigmasFor(3, 3)]).toEqual([1, 0.75, 0]);
  expect([...sigmasFor(5, 1)]).toEqual([1, 0.75, 0.5, 0.25, 0]);
});

test('an Euler step adds the direction times the step and leaves its inputs alone', () => {
  const latents = Float32Array.of(1, -2, 0.5);
  const velocity = Float32Array.of(4, 0, -1);
  expect([...eulerStep(latents, velocity, -0.25)]).toEqual([0, -2, 0.75]);
  expect([...latents]).toEqual([1, -2, 0.5]);
});

const config = { _class_name: 'FlowMatchEulerDiscreteScheduler', shift: 3, use_dynamic_shifting: false, shift_terminal: null, base_shift: 0.5 };

test('the shift is read; settings that do not matter without dynamic shifting are left alone', () => {
  expect(parseSchedulerConfig(config, 'scheduler_config.json')).toEqual({ shift: 3 });
});

test.each([
  ['another scheduler', { ...config, _class_name: 'DDIMScheduler' }, 'checkpoint_unsupported', 'asks for the scheduler "DDIMScheduler"'],
  ['dynamic shifting', { ...config, use_dynamic_shifting: true }, 'checkpoint_unsupported', 'use_dynamic_shifting true'],
  ['inverted sigmas', { ...config, invert_sigmas: true }, 'checkpoint_unsupported', 'invert_sigmas true'],
  ['a terminal shift', { ...config, shift_terminal: 0.1 }, 'checkpoint_unsupported', 'shift_terminal 0.1'],
  ['stochastic sampling', { ...config, stochastic_sampling: true }, 'checkpoint_unsupported', 'stochastic_sampling true'],
  ['Karras sigmas', { ...config, use_karras_sigmas: true }, 'checkpoint_unsupported', 'use_karras_sigmas true'],
  ['exponential sigmas', { ...config, use_exponential_sigmas: true }, 'checkpoint_unsupported', 'use_exponential_sigmas true'],
  ['beta sigmas', { ...config, use_beta_sigmas: true }, 'checkpoint_unsupported', 'use_beta_sigmas true'],
  ['no shift', { ...config, shift: undefined }, 'checkpoint_damaged', 'shift'],
  ['a shift of 0', { ...config, shift: 0 }, 'checkpoint_damaged', 'shift'],
  ['a shift in words', { ...config, shift: '3' }, 'checkpoint_damaged', 'shift'],
  ['no object', [], 'checkpoint_damaged', 'is no scheduler config'],
])('%s is refused', (_what, value, code, reason) => {
  expect(() => parseSchedulerConfig(value, 'scheduler_config.json')).toThrow(expect.objectContaining({ code, message: expect.stringContaining(reason) }));
});

test.for([
  [8, 0.6, 3],
  [8, 0.2, 6],
  [8, 0.1, 7],
  [8, 1, 0],
  [1, 1, 0],
] as const)('of %i forwards strength %f begins with forward %i', ([forwards, strength, first]) => expect(checkedFirstForward(forwards, strength)).toBe(first));

test.for([
  [8, 0],
  [8, -0.1],
  [8, 1.1],
  [8, Number.NaN],
] as const)('of %i forwards strength %f leaves none, or is out of range', ([forwards, strength]) => {
  expect(() => checkedFirstForward(forwards, strength)).toThrow(expect.objectContaining({ code: 'bad_param', data: { field: 'strength' } }));
});
