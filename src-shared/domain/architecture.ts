import { z } from 'zod';
import { MOST_REFERENCES } from './reference.ts';

/** What a checkpoint can do, by what its pipeline is. Read these and never guess from a name. */
export const capabilitiesSchema = z.object({
  architecture: z.enum(['z-image', 'klein']),
  tasks: z.array(z.enum(['text_to_image', 'image_to_image', 'inpaint', 'edit'])),
  /** Images in one edit; 0 where it edits none. */
  most_images: z.number().int(),
  /** Whether it was trained for few steps and no guidance. */
  distilled: z.boolean(),
  default_steps: z.number().int(),
  default_guidance: z.number(),
  largest_guidance: z.number(),
});
export type Capabilities = z.infer<typeof capabilitiesSchema>;
export type Architecture = Capabilities['architecture'];

const LARGEST_GUIDANCE = 20;

export const zImage: Capabilities = {
  ...{ architecture: 'z-image', tasks: ['text_to_image', 'image_to_image', 'inpaint'], most_images: 0, distilled: true },
  ...{ default_steps: 9, default_guidance: 0, largest_guidance: LARGEST_GUIDANCE },
};
const klein = { architecture: 'klein', tasks: ['text_to_image', 'edit'], most_images: MOST_REFERENCES } satisfies Partial<Capabilities>;
const distilledKlein: Capabilities = { ...klein, distilled: true, default_steps: 4, default_guidance: 1, largest_guidance: 1 };
const baseKlein: Capabilities = { ...klein, distilled: false, default_steps: 50, default_guidance: 4, largest_guidance: LARGEST_GUIDANCE };

/** By the `_class_name` of a checkpoint's `model_index.json`. */
export const capabilitiesOf: Readonly<Record<string, (isDistilled: boolean) => Capabilities>> = {
  ZImagePipeline: () => zImage,
  Flux2KleinPipeline: (isDistilled) => (isDistilled ? distilledKlein : baseKlein),
};
