import { join } from 'node:path';
import { z } from 'zod';
import { quoteValue } from '#main/lib/quote-value.ts';
import { readJsonFile } from '#main/lib/read-json-file.ts';
import { firstForward, forwardsOf } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';

const { fround } = Math;

export interface SchedulerConfig {
  /** Static shift of the sigmas: above 1 it spends more steps where there is much noise. */
  shift: number;
}

const configSchema = z.object({
  _class_name: z.string(),
  shift: z.number().positive(),
  /** Sigmas are shifted by the size of the image. */
  use_dynamic_shifting: z.boolean().nullish(),
  time_shift_type: z.string().nullish(),
  // what changes the sigmas and is not done here must be off
  invert_sigmas: z.boolean().nullish(),
  shift_terminal: z.number().nullish(),
  stochastic_sampling: z.boolean().nullish(),
  use_beta_sigmas: z.boolean().nullish(),
  use_exponential_sigmas: z.boolean().nullish(),
  use_karras_sigmas: z.boolean().nullish(),
});

/** Reads `scheduler_config.json` in `dir`. Throws as `parseSchedulerConfig` does, and `checkpoint_missing`. */
export async function loadSchedulerConfig(dir: string, isDynamic = false): Promise<SchedulerConfig> {
  const path = join(dir, 'scheduler_config.json');
  return parseSchedulerConfig(await readJsonFile(path), path, isDynamic);
}

/**
 * Throws `checkpoint_damaged` for what is no scheduler config, `checkpoint_unsupported` for another scheduler or a setting that is not done here. `isDynamic`
 * is what the pipeline does: it shifts the sigmas by the size of the image, or always alike.
 */
export function parseSchedulerConfig(value: unknown, path: string, isDynamic = false): SchedulerConfig {
  const parsed = configSchema.safeParse(value);
  if (!parsed.success) {
    const wrong = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'all of it'}: ${issue.message}`);
    throw new AppError('checkpoint_damaged', `${path} is no scheduler config (${wrong.join('; ')}).`, { path });
  }
  const { _class_name: scheduler, shift, use_dynamic_shifting: dynamic, time_shift_type: type, ...settings } = parsed.data;
  if (scheduler !== 'FlowMatchEulerDiscreteScheduler')
    throw new AppError('checkpoint_unsupported', `${path} asks for the scheduler ${quoteValue(scheduler)}; "FlowMatchEulerDiscreteScheduler" is supported.`, {
      path,
    });
  const refuse = (name: string, setting: unknown, needed: string): never => {
    throw new AppError('checkpoint_unsupported', `${path} has ${name} ${quoteValue(setting)}; ${needed} is needed.`, { path });
  };
  if ((dynamic ?? false) !== isDynamic) refuse('use_dynamic_shifting', dynamic ?? false, String(isDynamic));
  if (isDynamic && (type ?? 'exponential') !== 'exponential') refuse('time_shift_type', type, '"exponential"');
  for (const [name, setting] of Object.entries(settings)) if (setting) refuse(name, setting, 'null or false');
  return { shift };
}

/**
 * Noise levels of a run, float32, from 1 down to 0: max(1, steps - 1) forwards go from each to the next.
 * `steps` is the original's count, whose N sigmas were evenly spaced from 1 to 0 before the shift, so that its last step moved nothing
 * and is left out here; one step is the single jump from 1 to 0, as two are.
 * Source: https://github.com/huggingface/diffusers, `schedulers/scheduling_flow_match_euler_discrete.py`, `set_timesteps`.
 */
export function sigmasFor(steps: number, shift: number): Float32Array {
  const forwards = forwardsOf(steps);
  return Float32Array.from({ length: forwards + 1 }, (_, i) => {
    const even = fround((forwards - i) / forwards);
    return fround(fround(shift * even) / fround(1 + fround((shift - 1) * even)));
  });
}

/** `firstForward`, checked. Throws `bad_param` if no forward is left, or `strength` is out of range. */
export function checkedFirstForward(forwards: number, strength: number): number {
  const first = firstForward(forwards, strength);
  if (strength >= 0 && strength <= 1 && first < forwards) return first;
  const sentence = `strength ${strength} leaves no step to run of ${forwards}. Use a value above ${(1 / forwards).toPrecision(2)} and up to 1, or more steps.`;
  throw new AppError('bad_param', sentence, { field: 'strength' });
}

/** `latents + direction * step` in float32: with the velocity as direction and sigma_next - sigma as step, one Euler step. */
export function eulerStep(latents: Float32Array, direction: Float32Array, step: number): Float32Array {
  const out = new Float32Array(latents.length);
  for (let i = 0; i < out.length; i++) out[i] = (latents[i] as number) + fround((direction[i] as number) * step);
  return out;
}
