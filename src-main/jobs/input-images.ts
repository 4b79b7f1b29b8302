import { quoteValue } from '#main/lib/quote-value.ts';
import { imageHashSchema } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { MAX_INPUT_PIXELS, MIN_INPUT_SIDE_PX } from '#shared/protocol/messages.ts';

/** A decoded image that jobs start from. */
export interface InputImage {
  /** SHA-256 of the file that it was decoded from. */
  id: string;
  /** PNG of ours: RGB or RGBA, upright, in sRGB. */
  path: string;
  width: number;
  height: number;
}

export interface InputImages {
  /** Null where it was never uploaded, or was removed. One that was found is kept for another day. */
  find(id: string): Promise<InputImage | null>;
  /** Decodes a file and keeps the result. Null for more than `MAX_INPUT_PIXELS`. Rejects as the decoder of uploads. */
  addFile(path: string): Promise<InputImage | null>;
  /** Whether a mask repaints anything: see `maskOf`. */
  repaints(mask: InputImage): Promise<boolean>;
  /** Removes the images that are older than a day and not in `used`. */
  removeUnused(used: ReadonlySet<string>): Promise<void>;
}

/** Throws `unknown_image` with the param's name. */
export async function findInput(inputs: Pick<InputImages, 'find'>, id: string, field: string): Promise<InputImage> {
  const found = await inputs.find(id);
  if (found !== null) return withEnoughPixels(found, field);
  throw new AppError(
    'unknown_image',
    `${field} is ${id}, and there is no upload with this id. Upload the image with PUT /api/uploads and send the id that it answers.`,
    {
      field,
    },
  );
}

/** The image that a param names: an upload's id or the name of an image made here, whose file is at `pathOf(name)`. Throws `unknown_image`, `bad_param`, `picture_damaged`. */
export async function resolveInput(
  inputs: InputImages,
  reference: string,
  field: string,
  pathOf: (filename: string) => Promise<string | null>,
): Promise<InputImage> {
  if (imageHashSchema.safeParse(reference).success) return findInput(inputs, reference, field);
  const path = await pathOf(reference);
  if (path === null) {
    const message = `${field} is ${quoteValue(reference)}; it must be the id of an upload (64 hex digits from PUT /api/uploads) or the file name of an image made here.`;
    throw new AppError('unknown_image', message, { field });
  }
  const added = await inputs.addFile(path);
  if (added !== null) return withEnoughPixels(added, field);
  throw new AppError('bad_param', `${field} is ${reference}, which is too large; an image that a job starts from has at most ${MAX_INPUT_PIXELS} pixels.`, {
    field,
  });
}

/** As `resolveInput`, for the mask of `image`. */
export async function resolveMask(
  inputs: InputImages,
  reference: string,
  image: InputImage,
  pathOf: (filename: string) => Promise<string | null>,
): Promise<InputImage> {
  const mask = await resolveInput(inputs, reference, 'mask', pathOf);
  if (mask.width !== image.width || mask.height !== image.height) {
    const message = `mask has ${mask.width} x ${mask.height} pixels; it must have ${image.width} x ${image.height} as the image.`;
    throw new AppError('bad_param', message, { field: 'mask' });
  }
  if (await inputs.repaints(mask)) return mask;
  throw new AppError('bad_param', 'mask has nothing to repaint; paint what should change in white, or make it transparent.', { field: 'mask' });
}

function withEnoughPixels(image: InputImage, field: string): InputImage {
  if (Math.min(image.width, image.height) >= MIN_INPUT_SIDE_PX) return image;
  const message = `${field} has ${image.width} x ${image.height} pixels; it must have at least ${MIN_INPUT_SIDE_PX} on each side.`;
  throw new AppError('bad_param', message, { field });
}
