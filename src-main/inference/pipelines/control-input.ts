import type { CompiledZImage } from '#main/lib/compiled.ts';
import type { ControlInput } from '#main/lib/image-inputs.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import type { CancelSignal } from '../cancel.ts';
import { canny } from '../canny.ts';
import { patchify } from '../patches.ts';
import type { OrtTensor } from '../session.ts';
import type { Canvas } from './canvas.ts';
import { paddedCount, padRows } from './denoiser.ts';
import { latentMask, planesOf } from './image-latents.ts';
import type { Models } from './models.ts';

/** From here on a mask repaints. */
const REPAINTED = 128;

/** What is repainted, for ControlNets that see it. */
type Repainted = Pick<Canvas, 'image' | 'mask'> & { samplesMask: boolean };

/**
 * What a ControlNet sees: the latents of `image`, and where it takes 33 channels a mask of what is kept and the latents of the source without what is
 * repainted, or zeros. As tokens [padded tokens, patch width]. Reference: diffusers 0.42.1, `pipelines/z_image/pipeline_z_image_controlnet_inpaint.py`.
 */
export async function encodeControl(
  compiled: CompiledZImage,
  models: Models,
  control: Pick<ControlInput, 'preprocess'> & { image: RgbImage },
  repainted: Repainted | null,
  channels: number,
  signal: CancelSignal,
): Promise<OrtTensor> {
  const { latentChannels, vaeScale, patchSize } = compiled;
  const image = control.preprocess === 'canny' ? canny(control.image) : control.image;
  const [width, height] = [image.width / vaeScale, image.height / vaeScale];
  const pixels = height * width;
  const encode = async (planes: Float32Array): Promise<Float32Array> => {
    const moments = await models.encodeImage(planes, width, height, signal);
    return moments.subarray(0, latentChannels * pixels).map((mean) => Math.fround(mean - compiled.vaeShiftFactor) * compiled.vaeScalingFactor);
  };
  const context = new Float32Array(channels * pixels);
  context.set(await encode(planesOf(image)));
  if (channels > latentChannels && repainted?.mask) {
    const mask = latentMask(repainted.mask.data, width, height, vaeScale, repainted.samplesMask);
    context.set(
      mask.map((value) => 1 - value),
      latentChannels * pixels,
    );
    context.set(await encode(blanked(repainted.image, repainted.mask.data)), (latentChannels + 1) * pixels);
  }
  const tokens = patchify(context, channels, height, width, patchSize);
  const patchWidth = channels * patchSize ** 2;
  const rows = paddedCount(tokens.length / patchWidth);
  return { data: padRows(tokens, rows, patchWidth), shape: [rows, patchWidth] };
}

/** Planes of the image, mid grey where it is repainted. */
function blanked(image: RgbImage, mask: Uint8Array): Float32Array {
  return planesOf(image).map((value, i) => ((mask[i % mask.length] ?? 0) >= REPAINTED ? 0 : value));
}

/** Whether forward `index` of `forwards` is controlled. */
export function isControlled({ start, end }: Pick<ControlInput, 'start' | 'end'>, index: number, forwards: number): boolean {
  return index / forwards >= start && (index + 1) / forwards <= end;
}
