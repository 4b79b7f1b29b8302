import type { MemoryPlan } from '#shared/domain/memory-plan.ts';
import type { ErrorCode } from '#shared/protocol/errors.ts';

/** What went wrong for a task. */
export interface TaskFault {
  code: ErrorCode;
  /** Its process has ended. */
  endsProcess: boolean;
}

/** The task at that moment, and its device. */
export interface FaultedTask {
  type: 'generate' | 'upscale';
  /** Another task caused the fault: this one had finished its model work. */
  isInnocent: boolean;
  /** How many faults it has had before. */
  faults: number;
  accuracy: 'exact' | 'fast';
  /** The upscaler runs on the CPU already. */
  onCpu: boolean;
  /** The memory plan to use next, or null. */
  nextPlan: MemoryPlan | null;
  device: {
    isGpu: boolean /** It has finished an image. */;
    isProven: boolean /** There is a safer precision than the one it computes in. */;
    hasSafer: boolean;
  };
}

export type RetryDecision = 'retry' | 'retry_exact' | 'step_down_memory' | 'step_down_precision' | 'upscale_on_cpu' | 'give_up_device' | 'fail';

/** A task whose process ends for the second time fails. */
const MAX_FAULTS = 2;

/** Black or empty images out of int8 activations: worth one run in float32. */
const NUMERIC_FAILURES: ReadonlySet<ErrorCode> = new Set(['latents_not_finite', 'latents_collapsed', 'picture_not_finite', 'picture_flat']);

/** How a task goes on after a fault. The order of the rules matters: memory is saved before a device is given up, and a safer precision is tried. */
export function decideRetry(fault: TaskFault, task: FaultedTask): RetryDecision {
  const { isGpu, isProven, hasSafer } = task.device;
  const isShortOfMemory = fault.code === 'engine_out_of_memory';
  const endsProcess = fault.endsProcess || isShortOfMemory;
  // a machine without a free process or file descriptor says nothing about the device
  const isDeviceFault = fault.code !== 'engine_unavailable' && (endsProcess || fault.code === 'engine_failed');
  const mayRetry = task.faults + 1 < MAX_FAULTS;
  if (task.isInnocent) return 'retry';
  if (task.type === 'upscale' && !task.onCpu && isGpu && isProven && isDeviceFault) return 'upscale_on_cpu';
  if (isShortOfMemory && task.nextPlan !== null) return mayRetry ? 'step_down_memory' : 'fail';
  if (NUMERIC_FAILURES.has(fault.code) && task.accuracy === 'fast') return 'retry_exact';
  if (isGpu && !isProven && isDeviceFault) {
    // an upscaler is float32 in every precision, and a safer one needs more memory
    return hasSafer && task.type === 'generate' && !isShortOfMemory ? 'step_down_precision' : 'give_up_device';
  }
  return endsProcess && mayRetry ? 'retry' : 'fail';
}
