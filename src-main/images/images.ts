import { type AskingThread, startAskingThread } from '#main/lib/asking-thread.ts';
import type { PictureDescription, PictureOrder } from './channel.ts';

/** What needs pixels or a stranger's file read, away from the thread that answers requests. */
export interface Images {
  /** Writes a JPEG of `width` pixels (fewer where the picture has fewer) of the PNG at `from` to the new file `to`. Rejects with `picture_damaged`. */
  shrink(from: string, width: number, to: string): Promise<void>;
  /** Reads size and texts out of a PNG, JPEG, WebP or GIF; `bytes` may be empty afterwards. Rejects with `picture_damaged`. */
  describe(bytes: Uint8Array): Promise<PictureDescription>;
  close(): Promise<void>;
}

/** A second one starts while the first is busy; more would take the processor from the model. */
const MAX_THREADS = 2;
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 256 };

type PictureThread = AskingThread<PictureOrder, PictureDescription | null>;

/**
 * Threads for images, started when needed. What they read is bounded in size and they hold rows, never whole enlargements. Should one end all the same,
 * what was asked of it is rejected and a later call starts another.
 * @param entry Their file, `picture-thread.ts` or what it is built to.
 */
export function createImages(entry: string): Images {
  const threads: PictureThread[] = [];

  const ask = (order: PictureOrder, transferred: ArrayBuffer[]): Promise<PictureDescription | null> => {
    let chosen = threads.toSorted((one, other) => one.load() - other.load())[0];
    if (chosen === undefined || (chosen.load() > 0 && threads.length < MAX_THREADS)) {
      const started: PictureThread = startAskingThread(entry, 'works on pictures', () => threads.splice(threads.indexOf(started), 1), RESOURCE_LIMITS);
      threads.push(started);
      chosen = started;
    }
    return chosen.ask(order, transferred);
  };

  return {
    shrink: async (from, width, to) => {
      await ask({ type: 'shrink', from, to, width }, []);
    },
    describe: async (bytes) => {
      // a buffer of its own moves over; one cut from Node's common pool is copied
      const { buffer } = bytes;
      const isWhole = buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength;
      const description = await ask({ type: 'describe', bytes }, isWhole ? [buffer] : []);
      if (description === null) throw new Error('The picture thread answered a question about a picture with nothing.');
      return description;
    },
    close: async () => {
      await Promise.all(threads.map((thread) => thread.end()));
    },
  };
}
