import { z } from 'zod';

/**
 * How the parts of a checkpoint share a device's memory, from the most comfortable to the one that needs least:
 * `resident` keeps all of them loaded; `text_freed` loads the text encoder for each new prompt and frees it again; `text_on_cpu` runs it on the CPU beside a
 * GPU that keeps the rest; `in_turn` holds one part at a time; `denoiser_alone` leaves to the GPU the denoiser and runs the others on the CPU.
 */
export const memoryPlanSchema = z.enum(['resident', 'text_freed', 'text_on_cpu', 'in_turn', 'denoiser_alone']);
export type MemoryPlan = z.infer<typeof memoryPlanSchema>;

/** `auto` takes the first plan that fits into what is free before a checkpoint is loaded. */
export const memoryChoiceSchema = z.enum(['auto', ...memoryPlanSchema.options]);
export type MemoryChoice = z.infer<typeof memoryChoiceSchema>;

/** What a plan needs at its fullest moment, and what was free on the device before it; null where the device does not tell. */
export const plannedMemorySchema = z.object({ plan: memoryPlanSchema, needBytes: z.number(), freeBytes: z.number().nullable() });
export type PlannedMemory = z.infer<typeof plannedMemorySchema>;
