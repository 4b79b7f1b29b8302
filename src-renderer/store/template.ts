import { z } from 'zod';
import { draftSchema } from './draft.ts';

/** A prompt and the settings that belong to it; seed and count are not part of it. */
export const templateSchema = draftSchema
  .pick({ prompt: true, width: true, height: true, steps: true, guidanceScale: true, modelType: true, usesPatterns: true, usesLines: true })
  /** An image that was made with it, for the list; null if none was on the stage. */
  .extend({ imageFilename: z.string().nullable().default(null) });
export type Template = z.infer<typeof templateSchema>;
