import { z } from 'zod';
import { expandSchema, fitSchema, preprocessSchema } from '#shared/domain/job.ts';

/** What an image is made from beside its params, decoded: sRGB, 8 bits per channel, row-major, orientation applied. */

const bytesSchema = z.custom<Uint8Array<ArrayBuffer>>((value) => value instanceof Uint8Array, 'bytes are needed');
const side = z.number().int().positive();

/** [height, width, 3]. */
const rgbImageSchema = z.object({ width: side, height: side, data: bytesSchema });
/** [height, width]. */
const grayImageSchema = z.object({ width: side, height: side, data: bytesSchema });

export type Fit = z.infer<typeof fitSchema>;

const sourceSchema = z.object({
  image: rgbImageSchema,
  /** 0 to 1: share of the denoising steps that run. 1 leaves nothing of the source but what the mask keeps. */
  strength: z.number(),
  fit: fitSchema,
});
export type SourceImage = z.infer<typeof sourceSchema>;

/** Pixels that are added to each side of the source before `fit`; they are repainted. */
export type Expand = z.infer<typeof expandSchema>;

export const maskSchema = z.object({
  /** As large as the source; 128 and more is repainted. Null repaints only what `expand` adds. */
  mask: grayImageSchema.nullable(),
  expand: expandSchema.nullable(),
  /** Makes only the masked part at the full size and puts it back into the source, whose size the image then has. */
  onlyMasked: z.object({ paddingPx: z.number().int().nonnegative() }).nullable(),
  /** Width of the transition from kept to repainted pixels, inside of the mask. */
  featherPx: z.number().int().nonnegative(),
  /**
   * Whether pixels outside of the mask are copied from the source at the end, bit by bit. Without it the image is what diffusers' pipeline gives, and a latent
   * pixel is repainted where the mask at its first pixel says so; with it, where any of its pixels is repainted.
   */
  composite: z.boolean(),
});
export type RepaintMask = z.infer<typeof maskSchema>;

const loraSchema = z.object({
  /** Path of the safetensors file. */
  file: z.string(),
  /** For messages. */
  name: z.string(),
  /** Hash of the file's content. */
  identity: z.string(),
  /** Any number; 0 leaves every bit of the image as it is. */
  weight: z.number(),
});

export const controlSchema = z.object({
  image: rgbImageSchema,
  /** Path of the ControlNet's safetensors file. */
  file: z.string(),
  name: z.string(),
  identity: z.string(),
  scale: z.number(),
  /** Shares of the denoising steps, 0 to 1: forward i of F is controlled unless i / F < start or (i + 1) / F > end. */
  start: z.number(),
  end: z.number(),
  preprocess: preprocessSchema,
});
export type ControlInput = z.infer<typeof controlSchema>;

export const imageInputsSchema = z.object({
  /** Used where guidance is on; the empty prompt without it. */
  negativePrompt: z.string().exactOptional(),
  source: sourceSchema.exactOptional(),
  /** Needs a source. */
  mask: maskSchema.exactOptional(),
  loras: z.array(loraSchema).exactOptional(),
  control: controlSchema.exactOptional(),
  /** Images that the prompt edits or refers to, in the user's order; at most `MOST_REFERENCES`. */
  references: z.array(rgbImageSchema).exactOptional(),
});
export type ImageInputs = z.infer<typeof imageInputsSchema>;
