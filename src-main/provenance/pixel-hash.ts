import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';

const PIECE_BYTES = 8 * 1024 * 1024;

/** SHA-256 of an image's RGB, 8 bits a channel, row by row, then of its alpha where anything is transparent. In pieces that keep the event loop free. */
export async function pixelHash({ data, alpha }: { data: Uint8Array; alpha?: Uint8Array }): Promise<string> {
  const hash = createHash('sha256');
  for (const plane of [data, ...(alpha?.some((value) => value !== 255) === true ? [alpha] : [])]) {
    for (let at = 0; at < plane.length; at += PIECE_BYTES) {
      hash.update(plane.subarray(at, at + PIECE_BYTES));
      await nextTurn();
    }
  }
  return hash.digest('hex');
}
