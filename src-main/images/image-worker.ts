import { toWireError, type WireError } from '#shared/protocol/errors.ts';
import { compareImages } from './compare-images.ts';
import { decodeImage, encodeThumbnail, importImage, repaintsAnything } from './decode-image.ts';
import { encodeImage } from './encode-image.ts';
import { exportImage } from './export-image.ts';
import { inspectImage } from './inspect-image.ts';

/** The functions that the pool's threads run, by name. An error class does not survive the way between threads, so it travels as data. */
export type WorkerAnswer<T> = { value: T } | { error: WireError };

function answering<I, O>(work: (input: I) => Promise<O>): (input: I) => Promise<WorkerAnswer<O>> {
  return (input) =>
    work(input).then(
      (value) => ({ value }),
      (thrown: unknown) => ({ error: toWireError(thrown) }),
    );
}

export const importing = answering(importImage);
export const decode = answering(decodeImage);
export const repaints = answering(repaintsAnything);
export const thumbnail = answering(encodeThumbnail);
export const encode = answering(encodeImage);
export const inspect = answering(inspectImage);
export const compare = answering(compareImages);
export const exported = answering(exportImage);
