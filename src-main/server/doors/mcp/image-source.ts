import { quoteValue } from '#main/lib/quote-value.ts';
import { jobRecordSchema } from '#shared/domain/job-record.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { type Studio, StudioError } from '../../../../clients/js/zimage.js';
import { dataUriBytes } from '../input-image.ts';

/** An image that a tool starts from. */
export interface SourceImage {
  id: string;
  width: number;
  height: number;
}

/** Reads a file of the host's machine; null where the host is not known to be on this one. */
export type ReadLocalImage = ((path: string) => Promise<Uint8Array<ArrayBuffer>>) | null;

const isPath = (text: string): boolean => /^file:|^~?[/\\]|^\.{1,2}[/\\]|^[a-z]:[/\\]/i.test(text);

/** `text` is a job id, the file name or address of an image made here, a data URI or, if `readLocal` is there, a path. Other addresses are not fetched. */
export async function sourceImage(text: string, field: string, studio: Studio, readLocal: ReadLocalImage): Promise<SourceImage> {
  const { id, width, height } = await studio.upload(await bytesOf(text, field, studio, readLocal));
  if (id !== null) return { id, width, height };
  throw new AppError('bad_param', `${field} has ${width} x ${height} pixels, which is too large.`, { field });
}

async function bytesOf(text: string, field: string, studio: Studio, readLocal: ReadLocalImage): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = dataUriBytes(text);
  if (bytes !== null) return new Uint8Array(bytes);
  if (readLocal !== null && isPath(text)) return readLocal(text);
  try {
    return await studio.image(await filenameOf(text, studio));
  } catch (thrown) {
    if (!(thrown instanceof StudioError) || thrown.code !== 'unknown_image') throw thrown;
    const path = readLocal === null ? '' : ', the path of an image file';
    const message = `${field} is ${quoteValue(text)}; it must be the job id or file name of an image made here${path}, or a data URI.`;
    throw new AppError('unknown_image', message, { field }, { cause: thrown });
  }
}

async function filenameOf(text: string, studio: Studio): Promise<string> {
  if (/^[0-9a-f]{64}$/.test(text)) {
    const { result, status } = jobRecordSchema.parse(await studio.call(`/api/jobs/${text}`));
    if (result !== null) return result.filename;
    throw new AppError('unknown_image', `Job ${text} is ${status} and has no image.`, {});
  }
  const [, name] = /\/api\/image\/([^/?#]+)$/.exec(text) ?? [];
  return name === undefined ? text : decodeURIComponent(name);
}
