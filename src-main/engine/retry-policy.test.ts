import { expect, test } from 'vitest';
import type { ErrorCode } from '#shared/protocol/errors.ts';
import { decideRetry, type FaultedTask, type RetryDecision } from './retry-policy.ts';

const cpu = { isGpu: false, isProven: true, hasSafer: false };
const newGpu = { isGpu: true, isProven: false, hasSafer: false };
const bfloat16Gpu = { ...newGpu, hasSafer: true };
const provenGpu = { ...newGpu, isProven: true, hasSafer: true };
const task: FaultedTask = { type: 'generate', isInnocent: false, faults: 0, accuracy: 'fast', onCpu: false, nextPlan: null, device: cpu };
const second = { faults: 1 };
const upscale = { type: 'upscale', device: provenGpu } as const;

test.each<[ErrorCode, 'died' | 'failed', Partial<FaultedTask>, RetryDecision]>([
  // its process has ended
  ['engine_crashed', 'died', {}, 'retry'],
  ['engine_crashed', 'died', second, 'fail'],
  ['engine_hung', 'died', {}, 'retry'],
  ['engine_hung', 'died', second, 'fail'],
  ['engine_unavailable', 'died', {}, 'retry'],
  ['engine_unavailable', 'died', { device: newGpu }, 'retry'],
  ['engine_unavailable', 'died', { device: newGpu, ...second }, 'fail'],
  ['engine_crashed', 'died', { device: newGpu }, 'give_up_device'],
  ['engine_crashed', 'died', { device: provenGpu }, 'retry'],
  ['engine_crashed', 'died', { device: provenGpu, ...second }, 'fail'],
  ['engine_crashed', 'died', { device: bfloat16Gpu, ...second }, 'step_down_precision'],
  ['engine_failed', 'failed', { device: bfloat16Gpu }, 'step_down_precision'],
  ['engine_out_of_memory', 'failed', { device: bfloat16Gpu }, 'give_up_device'],
  ['engine_failed', 'failed', { ...upscale, device: bfloat16Gpu }, 'give_up_device'],
  // another task ended it
  ['engine_out_of_memory', 'died', { isInnocent: true, ...second }, 'retry'],
  ['engine_crashed', 'died', { isInnocent: true, device: newGpu }, 'retry'],
  // memory: saved first, then the device is given up
  ['engine_out_of_memory', 'died', { nextPlan: 'in_turn' }, 'step_down_memory'],
  ['engine_out_of_memory', 'failed', { nextPlan: 'in_turn' }, 'step_down_memory'],
  ['engine_out_of_memory', 'failed', { nextPlan: 'in_turn', ...second }, 'fail'],
  ['engine_out_of_memory', 'failed', { nextPlan: 'in_turn', device: newGpu }, 'step_down_memory'],
  ['engine_out_of_memory', 'failed', { device: newGpu, ...second }, 'give_up_device'],
  ['engine_out_of_memory', 'failed', {}, 'retry'],
  ['engine_out_of_memory', 'failed', second, 'fail'],
  // the model
  ['latents_not_finite', 'failed', {}, 'retry_exact'],
  ['picture_flat', 'failed', {}, 'retry_exact'],
  ['latents_not_finite', 'failed', { accuracy: 'exact' }, 'fail'],
  ['engine_failed', 'failed', {}, 'fail'],
  ['engine_failed', 'failed', { device: newGpu }, 'give_up_device'],
  ['engine_failed', 'failed', { device: provenGpu }, 'fail'],
  // the upscaler
  ['engine_failed', 'failed', upscale, 'upscale_on_cpu'],
  ['engine_out_of_memory', 'failed', upscale, 'upscale_on_cpu'],
  ['engine_crashed', 'died', upscale, 'upscale_on_cpu'],
  ['engine_failed', 'failed', { ...upscale, onCpu: true }, 'fail'],
  ['engine_failed', 'failed', { ...upscale, device: newGpu }, 'give_up_device'],
  ['picture_damaged', 'failed', upscale, 'fail'],
  // the disk
  ['disk_full', 'failed', {}, 'fail'],
  ['folder_not_writable', 'failed', { device: newGpu }, 'fail'],
])('%s, the process %s, %j: %s', (code, how, change, decision) => {
  expect(decideRetry({ code, endsProcess: how === 'died' }, { ...task, ...change })).toBe(decision);
});
