import { Tinypool } from 'tinypool';
import type { ImageSource, InspectedImage } from '#main/provenance/verify-image.ts';
import { AppError, fromWireError } from '#shared/protocol/errors.ts';
import type { DecodedImage, ImageDescription, ThumbnailRequest } from './decode-image.ts';
import type { EncodeRequest } from './encode-image.ts';
import type { ExportRequest } from './export-image.ts';
import type { WorkerAnswer } from './image-worker.ts';

/** Work on image files, in threads, so that the thread that answers requests stays free. */
export interface Images {
  /** Describes and decodes a file from outside, see `importImage`; `bytes` may be empty afterwards. Rejects as `decodeImage`. */
  import(bytes: Uint8Array): Promise<ImageDescription & { png: Uint8Array | null }>;
  /** Decodes a file from outside; `bytes` may be empty afterwards. Rejects as `decodeImage`. */
  decode(bytes: Uint8Array): Promise<DecodedImage>;
  /** Whether the PNG of ours at `path` repaints anything as a mask, see `maskOf`. */
  repaints(path: string): Promise<boolean>;
  /** WebP, `width` pixels wide (or narrower if the image is), of one of our images. Rejects with `picture_damaged`. */
  thumbnail(request: ThumbnailRequest): Promise<Uint8Array>;
  /** A copy of one of our images in a format and with the metadata of choice. Rejects as `exportImage`. */
  export(request: ExportRequest): Promise<Uint8Array>;
  /** What a file says about its origin, and the hash of its pixels. Rejects as `decodeImage`. */
  inspect(source: ImageSource): Promise<InspectedImage>;
  /** Null where the sizes differ. */
  compare(one: ImageSource, other: ImageSource): Promise<{ maxLevels: number; psnrDb: number } | null>;
  /** A file without metadata. Rejects with `bad_param` if the format cannot hold the image. */
  encode(request: EncodeRequest): Promise<Uint8Array>;
  close(): Promise<void>;
}

type Worker = typeof import('./image-worker.ts');

/** More threads would take the processor from the model. */
const MAX_THREADS = 2;
const IDLE_MS = 30_000;
const TASK_TIMEOUT_MS = 60_000;
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 256 };

/**
 * Starts threads when they are needed and ends idle ones. A thread that crashes or takes longer than `timeoutMs` is replaced; only its own task fails.
 * @param entry File of the threads: `image-worker.ts`, or what it is built to.
 */
export function createImages(entry: string, timeoutMs = TASK_TIMEOUT_MS): Images {
  const pool = new Tinypool({
    filename: entry,
    minThreads: 0,
    maxThreads: MAX_THREADS,
    idleTimeout: IDLE_MS,
    resourceLimits: RESOURCE_LIMITS,
    execArgv: [],
    // sharp's WebAssembly build needs its thread's event loop, which a waiting thread would block
    useAtomics: false,
  });
  // a thread failed without a task; the next task gets a new one
  pool.on('error', () => {});
  let running = 0;
  const waiting: Array<() => void> = [];

  /** The time limit begins when a thread is free, so tasks wait here and not in the pool. */
  async function inThread<N extends keyof Worker>(name: N, input: Parameters<Worker[N]>[0], transferList: ArrayBuffer[] = []): Promise<ValueOf<N>> {
    if (running < MAX_THREADS) running++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      const answer: WorkerAnswer<ValueOf<N>> = await pool.run(input, { name, transferList, signal: AbortSignal.timeout(timeoutMs) });
      if ('error' in answer) throw fromWireError(answer.error);
      return answer.value;
    } catch (thrown) {
      if (!(thrown instanceof Error) || thrown.name !== 'AbortError') throw thrown;
      throw new AppError(
        'picture_damaged',
        `The image took longer than ${timeoutMs / 1000} s, so its work was ended. Use a smaller image.`,
        {},
        { cause: thrown },
      );
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  }

  return {
    import: (bytes) => inThread('importing', bytes, movable(bytes)),
    decode: (bytes) => inThread('decode', bytes, movable(bytes)),
    repaints: (path) => inThread('repaints', path),
    thumbnail: (request) => inThread('thumbnail', request),
    export: (request) => inThread('exported', request),
    inspect: (source) => inThread('inspect', source),
    compare: (one, other) => inThread('compare', [one, other]),
    encode: (request) => inThread('encode', request),
    close: () => pool.destroy(),
  };
}

type ValueOf<N extends keyof Worker> = Awaited<ReturnType<Worker[N]>> extends WorkerAnswer<infer T> ? T : never;

/** A buffer of its own moves to the thread; one that is cut from Node's shared pool is copied. */
function movable({ buffer, byteLength }: Uint8Array): ArrayBuffer[] {
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : [];
}
