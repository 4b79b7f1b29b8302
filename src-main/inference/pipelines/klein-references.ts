import { createHash } from 'node:crypto';
import type { CompiledKlein } from '#main/lib/compiled.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { MOST_REFERENCES, unusableReason, usedPartOf } from '#shared/domain/reference.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { assertNotCancelled, type CancelSignal } from '../cancel.ts';
import { resizeAsPillow } from '../lanczos.ts';
import { createRecentlyUsed } from '../recently-used.ts';
import { planesOf } from './image-latents.ts';
import { normalize, patchifyKlein } from './klein-latents.ts';
import type { KleinModels, KleinReference } from './klein-models.ts';

/** Encodes the references of a job; the last ones are kept, by their content. Throws `bad_param` for a size that cannot be used. */
export type EncodeReferences = (images: readonly RgbImage[], signal: CancelSignal, onDone: (done: number) => void) => Promise<KleinReference[]>;

export function createReferenceEncoder(compiled: CompiledKlein, models: Pick<KleinModels, 'encodeImage'>): EncodeReferences {
  const { vaeScale, patchSize, latentChannels, latentNorm } = compiled;
  const recent = createRecentlyUsed<KleinReference>(MOST_REFERENCES);

  async function encode(image: RgbImage, signal: CancelSignal): Promise<KleinReference> {
    const prepared = prepareReference(image, vaeScale * patchSize);
    assertNotCancelled(signal);
    const { width, height } = prepared;
    const grid = { rows: height / vaeScale / patchSize, columns: width / vaeScale / patchSize };
    const means = await models.encodeImage(planesOf(prepared), width, height, signal);
    return { ...grid, tokens: normalize(patchifyKlein(means, latentChannels, grid, patchSize), latentNorm) };
  }

  return async (images, signal, onDone) => {
    const encoded: KleinReference[] = [];
    for (const [at, image] of images.entries()) {
      assertNotCancelled(signal);
      const reason = unusableReason(image);
      if (reason !== null) throw new AppError('bad_param', `Image ${at + 1} ${reason}.`, { field: 'images' });
      const key = `${image.width} ${image.height} ${createHash('sha256').update(image.data).digest('hex')}`;
      encoded.push(await recent(key, () => encode(image, signal)));
      onDone(at + 1);
    }
    return encoded;
  };
}

/** The part of an image that the model sees, in whole tokens of `unitPx`. */
export function prepareReference(image: RgbImage, unitPx: number): RgbImage {
  const { scaled, kept } = usedPartOf(image, unitPx);
  const { width, height, data } = scaled.width === image.width && scaled.height === image.height ? image : resizeAsPillow(image, scaled.width, scaled.height);
  if (width === kept.width && height === kept.height) return { width, height, data };
  const middle = new Uint8Array(kept.width * kept.height * 3);
  for (let y = 0; y < kept.height; y++) {
    const start = ((kept.top + y) * width + kept.left) * 3;
    middle.set(data.subarray(start, start + kept.width * 3), y * kept.width * 3);
  }
  return { width: kept.width, height: kept.height, data: middle };
}
