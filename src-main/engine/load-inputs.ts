import type { ImageInputs } from '#main/lib/image-inputs.ts';
import { maskOf } from '#main/lib/mask-of.ts';
import { decodePng } from '#main/lib/read-png.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import type { InputFiles } from './protocol.ts';

/** Reads the images of a task. Throws `picture_damaged`. */
export async function loadInputs({ source, mask, control, references, ...others }: InputFiles): Promise<ImageInputs> {
  const inputs: ImageInputs = { ...others };
  if (source !== undefined) {
    const { path, strength, fit } = source;
    inputs.source = { image: onWhite(await decodePng(path)), strength, fit };
  }
  if (mask !== undefined) {
    const { path, ...how } = mask;
    inputs.mask = { ...how, mask: path === null ? null : maskOf(await decodePng(path)) };
  }
  if (control !== undefined) {
    const { path, ...how } = control;
    inputs.control = { ...how, image: onWhite(await decodePng(path)) };
  }
  if (references !== undefined) inputs.references = await Promise.all(references.map(async (path) => onWhite(await decodePng(path))));
  return inputs;
}

/** The VAE knows no transparency. */
function onWhite({ width, height, data, alpha }: RgbImage): RgbImage {
  if (alpha === undefined) return { width, height, data };
  return { width, height, data: data.map((value, i) => Math.round(255 + ((value - 255) * (alpha[Math.floor(i / 3)] ?? 255)) / 255)) };
}
