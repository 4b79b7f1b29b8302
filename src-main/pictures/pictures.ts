import { Worker } from 'node:worker_threads';
import { fromWireError } from '#shared/protocol/errors.ts';
import type { PictureAnswer, PictureDescription, PictureOrder } from './channel.ts';

/** What needs pixels or a stranger's file read, away from the thread that answers requests. */
export interface Pictures {
  /** Writes a JPEG of `width` pixels (fewer where the picture has fewer) of the PNG at `from` to the new file `to`. Rejects with `picture_damaged`. */
  shrink(from: string, width: number, to: string): Promise<void>;
  /** Reads size and texts out of a PNG, JPEG, WebP or GIF; `bytes` may be empty afterwards. Rejects with `picture_damaged`. */
  describe(bytes: Uint8Array): Promise<PictureDescription>;
  close(): Promise<void>;
}

interface Waiting {
  resolve(description: PictureDescription | null): void;
  reject(error: Error): void;
}

/**
 * A thread for pictures, started when first needed. What it reads is bounded in size and it holds rows, never whole enlargements. Should it end all the same,
 * what was asked of it is rejected and the next call starts another.
 * @param entry Its file, `picture-thread.ts` or what it is built to.
 */
export function createPictures(entry: string): Pictures {
  const waiting = new Map<number, Waiting>();
  let thread: Worker | null = null;
  let nextId = 1;

  const start = (): Worker => {
    const started = new Worker(entry, { execArgv: [], resourceLimits: { maxOldGenerationSizeMb: 256 } });
    let cause: unknown;
    started.on('message', (answer: PictureAnswer) => {
      const asked = waiting.get(answer.id);
      waiting.delete(answer.id);
      if ('error' in answer) asked?.reject(fromWireError(answer.error));
      else asked?.resolve(answer.description);
    });
    started.on('error', (error) => {
      cause = error;
    });
    started.on('exit', () => {
      thread = null;
      for (const { reject } of waiting.values()) reject(new Error('The thread that works on pictures ended in the middle of its work.', { cause }));
      waiting.clear();
    });
    // it alone keeps no program running
    started.unref();
    return started;
  };

  const ask = (order: PictureOrder, transferred: ArrayBuffer[]): Promise<PictureDescription | null> => {
    thread ??= start();
    thread.postMessage(order, transferred);
    return new Promise((resolve, reject) => waiting.set(order.id, { resolve, reject }));
  };

  return {
    shrink: async (from, width, to) => {
      await ask({ id: nextId++, type: 'shrink', from, to, width }, []);
    },
    describe: async (bytes) => {
      // a buffer of its own moves over; one cut from Node's common pool is copied
      const { buffer } = bytes;
      const isWhole = buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength;
      const description = await ask({ id: nextId++, type: 'describe', bytes }, isWhole ? [buffer] : []);
      if (description === null) throw new Error('The picture thread answered a question about a picture with nothing.');
      return description;
    },
    close: async () => {
      await thread?.terminate();
    },
  };
}
