import { z } from 'zod';

/**
 * How the parts of a checkpoint share a device's memory, from the most to the least memory:
 * `resident` keeps all of them loaded; `text_freed` loads the text encoder for each new prompt and frees it again; `text_on_cpu` runs it on the CPU beside a
 * GPU that keeps the rest; `in_turn` holds one part at a time; `denoiser_alone` runs only the denoiser on the GPU.
 */
export const memoryPlanSchema = z.enum(['resident', 'text_freed', 'text_on_cpu', 'in_turn', 'denoiser_alone']);
export type MemoryPlan = z.infer<typeof memoryPlanSchema>;

/** `auto` takes the first plan that fits into what is free before a checkpoint is loaded. */
export const memoryChoiceSchema = z.enum(['auto', ...memoryPlanSchema.options]);
export type MemoryChoice = z.infer<typeof memoryChoiceSchema>;

/** The peak memory of a plan, and the free memory of the device before it; null if the device does not report it. */
export const plannedMemorySchema = z.object({ plan: memoryPlanSchema, needBytes: z.number(), freeBytes: z.number().nullable() });
export type PlannedMemory = z.infer<typeof plannedMemorySchema>;
