import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { syncFile } from '#main/lib/sync-file.ts';
import { diskError } from '#main/lib/write-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { type HttpClient, type HttpResponse, unreachable } from './http-client.ts';
import { type Pause, pauseFor, type Throttle } from './throttle.ts';

/** A file on a server whose content is known in advance. */
export interface RemoteFile {
  /** For messages; relative, with `/` between folders. */
  path: string;
  sizeBytes: number;
  /** SHA-256 (64 hex digits), or git's SHA-1 (40). */
  hash: string;
}

/** Faults that a download recovered from, summed over its files. */
export interface FetchCounts {
  /** Bytes received, including bytes that were dropped. */
  fetchedBytes: number;
  retries: number;
  /** Times that ranges were given up: the server sent the whole file instead, or refused them. */
  rangesIgnored: number;
  /** Complete files with a wrong hash, which were fetched again. */
  wrongHashes: number;
  /** Responses 429 or 503 with Retry-After. */
  waits: number;
}

export function noFetchCounts(): FetchCounts {
  return { fetchedBytes: 0, retries: 0, rangesIgnored: 0, wrongHashes: 0, waits: 0 };
}

export interface FetchOptions {
  http: Pick<HttpClient, 'get'>;
  /** The last sentence of errors: when the server refuses the file, and when it cannot be reached. */
  advice?: { refused: string; unreachable: string };
  throttle: Throttle;
  signal: AbortSignal;
  /** Called with the bytes of the file that are on disk; the number falls when the file starts over. */
  onBytes(done: number): void;
  counts: FetchCounts;
  pause?: Pause;
}

/** Parallel range requests, and the bytes that they ask for together: a kill loses at most these. */
const RANGES = 8;
const MAX_IN_FLIGHT_BYTES = 64 * 2 ** 20;
/** The next ranges are twice as large if the first byte of a range takes at least `MIN_LATENCY_MS` and its bytes less than `MOST_LATENCIES` times that. A failure resets the size. */
const MIN_LATENCY_MS = 50;
const MOST_LATENCIES = 4;
const MIN_RANGE_BYTES = 983_040;
const MAX_RANGE_BYTES = 16 * MIN_RANGE_BYTES;
/** Times in a row that a range is refused by a redirect's target, or answered with the whole file, before ranges are given up. */
const MAX_RANGE_REFUSALS = 3;
const SYNC_BYTES = 256 * 1024 * 1024;
/** Consecutive failures without a byte of progress before the download gives up. */
const MAX_FAILURES = 12;
const MAX_WRONG_HASHES = 3;
const MAX_WAITS = 30;
const MAX_WAIT_MS = 120_000;
const MAX_BACKOFF_MS = 10_000;

/**
 * Fetches a file into `partPath` and resumes at its end. Ranges are fetched in parallel and written in order, so the part is always a prefix of the
 * file; bytes are hashed as they are written. Resolves when all bytes are on disk with the right hash.
 * Throws `download_failed`, `download_refused`, `disk_full`, `folder_not_writable` or the signal's reason; the part stays for the next attempt.
 */
export async function fetchFile(url: URL, file: RemoteFile, partPath: string, options: FetchOptions): Promise<void> {
  // O_NOFOLLOW: a symlink in place of the part would let a download overwrite its target
  const handle = await open(partPath, constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0), 0o644).catch(async (cause: unknown) => {
    throw await diskError(cause, partPath, file.sizeBytes);
  });
  try {
    const part = await Part.open(handle, file, partPath);
    const source = new Source(url, file, options);
    for (let wrongHashes = 0; ; ) {
      options.onBytes(part.length);
      await fillPart(part, source, options);
      if (part.hasRightHash()) break;
      options.counts.wrongHashes++;
      await part.restart();
      if (++wrongHashes >= MAX_WRONG_HASHES) {
        const message = `${file.path} from ${url.host} failed hash verification ${wrongHashes} times and was deleted. Try again later.`;
        throw new AppError('download_failed', message, {});
      }
    }
    await syncFile(part);
  } finally {
    await handle.close();
  }
}

/** The file on disk so far: always a prefix of the whole file, hashed up to its length. */
class Part {
  readonly #handle: FileHandle;
  readonly #file: RemoteFile;
  readonly #path: string;
  #hash: Hash;
  #length = 0;
  #unsynced = 0;

  private constructor(handle: FileHandle, file: RemoteFile, path: string) {
    this.#handle = handle;
    this.#file = file;
    this.#path = path;
    this.#hash = newHash(file);
  }

  static async open(handle: FileHandle, file: RemoteFile, path: string): Promise<Part> {
    const part = new Part(handle, file, path);
    const { size } = await handle.stat();
    if (size > file.sizeBytes) await part.restart();
    else await part.#hashExisting(size);
    return part;
  }

  get length(): number {
    return this.#length;
  }

  async append(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.byteLength; ) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.byteLength - done, this.#length + done);
        done += bytesWritten;
      }
      this.#unsynced += bytes.byteLength;
      if (this.#unsynced >= SYNC_BYTES) await this.sync();
    } catch (cause) {
      throw await diskError(cause, this.#path, this.#file.sizeBytes - this.#length);
    }
    this.#hash.update(bytes);
    this.#length += bytes.byteLength;
  }

  async restart(): Promise<void> {
    await this.#handle.truncate(0).catch(async (cause: unknown) => {
      throw await diskError(cause, this.#path, 0);
    });
    this.#hash = newHash(this.#file);
    this.#length = 0;
  }

  hasRightHash(): boolean {
    return this.#hash.copy().digest('hex') === this.#file.hash;
  }

  async sync(): Promise<void> {
    try {
      await syncFile(this.#handle);
    } catch (cause) {
      throw await diskError(cause, this.#path, 0);
    }
    this.#unsynced = 0;
  }

  async #hashExisting(size: number): Promise<void> {
    const buffer = new Uint8Array(4 * 1024 * 1024);
    while (this.#length < size) {
      const { bytesRead } = await this.#handle.read(buffer, 0, Math.min(buffer.byteLength, size - this.#length), this.#length);
      if (bytesRead === 0) return;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.#length += bytesRead;
    }
  }
}

/** Git's hash is SHA-1 over `blob SIZE NUL` and the bytes. */
function newHash({ hash, sizeBytes }: RemoteFile): Hash {
  return hash.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${sizeBytes}\0`);
}

async function fillPart(part: Part, source: Source, options: FetchOptions): Promise<void> {
  while (part.length < source.sizeBytes) {
    if (source.hasRanges) await fillByRanges(part, source, options);
    else await fillInOnePiece(part, source, options);
  }
}

async function fillByRanges(part: Part, source: Source, { signal, onBytes }: FetchOptions): Promise<void> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const inFlight: Promise<Uint8Array>[] = [];
  let asked = part.length;
  try {
    while (part.length < source.sizeBytes && source.hasRanges) {
      while (inFlight.length < RANGES && asked < source.sizeBytes) {
        const length = Math.min(source.rangeBytes, source.sizeBytes - asked);
        if (inFlight.length > 0 && asked + length - part.length > MAX_IN_FLIGHT_BYTES) break;
        const range = source.range(asked, length, both);
        range.catch(() => {}); // the loop below awaits it; a range left over was aborted
        inFlight.push(range);
        asked += length;
      }
      const head = inFlight.shift();
      if (head === undefined) return;
      await part.append(await head);
      onBytes(part.length);
    }
  } catch (thrown) {
    if (!(thrown instanceof NoRanges)) throw thrown;
  } finally {
    stop.abort();
    await Promise.allSettled(inFlight);
  }
}

/** For servers that ignore ranges: fetches the whole file and skips the bytes that are on disk. */
async function fillInOnePiece(part: Part, source: Source, { signal, onBytes }: FetchOptions): Promise<void> {
  await source.retrying(signal, async () => {
    let toSkip = part.length;
    for await (const chunk of source.whole(signal)) {
      const bytes = chunk.subarray(Math.min(toSkip, chunk.byteLength));
      toSkip -= chunk.byteLength - bytes.byteLength;
      if (bytes.byteLength === 0) continue;
      await part.append(bytes);
      source.progressed();
      onBytes(part.length);
    }
  });
}

class NoRanges extends Error {}
/** A range was refused, or answered with the whole file. */
class RangeRefused extends Error {}
/** An unusable response; worth another attempt. */
class BadResponse extends Error {}
class RetryAfter extends Error {
  readonly waitMs: number;
  constructor(waitMs: number) {
    super(`the server asked to wait ${waitMs} ms`);
    this.waitMs = waitMs;
  }
}

/** The file on its server: remembers its final address, sizes the ranges, and retries. The address pins a commit and the hash is known, so ETags are not compared. */
class Source {
  readonly sizeBytes: number;
  hasRanges = true;
  rangeBytes = MIN_RANGE_BYTES;
  readonly #url: URL;
  readonly #file: RemoteFile;
  readonly #options: FetchOptions;
  readonly #pause: Pause;
  /** Target of the last redirect. Signed addresses expire; the first address is then asked again. */
  #resolved: URL | null = null;
  /** It has answered with a range. */
  #knowsRanges = false;
  #failures = 0;
  #waits = 0;

  constructor(url: URL, file: RemoteFile, options: FetchOptions) {
    this.#url = url;
    this.#file = file;
    this.#options = options;
    this.#pause = options.pause ?? pauseFor;
    this.sizeBytes = file.sizeBytes;
  }

  progressed(): void {
    this.#failures = 0;
  }

  async range(start: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    let refusals = 0;
    return this.retrying(signal, async () => {
      const startedAt = performance.now();
      const response = await this.#request({ range: `bytes=${start}-${start + length - 1}` }, signal);
      const answeredAt = performance.now();
      try {
        this.#assertRange(response, start, length);
        const bytes = await this.#readExactly(response, length, signal);
        this.#knowsRanges = true;
        this.progressed();
        this.#resize(length, answeredAt - startedAt, performance.now() - answeredAt);
        return bytes;
      } catch (thrown) {
        response.discard();
        // an expired signature is refused once, and a server that knows ranges may forget one
        const patience = this.#knowsRanges || response.status === 403 ? MAX_RANGE_REFUSALS : 1;
        if (!(thrown instanceof RangeRefused) || ++refusals < patience) throw thrown;
        if (this.hasRanges) this.#options.counts.rangesIgnored++;
        this.hasRanges = false;
        throw new NoRanges();
      }
    });
  }

  #resize(length: number, latencyMs: number, readingMs: number): void {
    if (length !== this.rangeBytes || latencyMs < MIN_LATENCY_MS || readingMs >= MOST_LATENCIES * latencyMs) return;
    this.rangeBytes = Math.min(MAX_RANGE_BYTES, 2 * length);
  }

  /** The whole file; throws if it is longer or shorter than expected. */
  async *whole(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const response = await this.#request({}, signal);
    try {
      if (response.status !== 200) throw this.#badStatus(response);
      this.#assertLength(response.header('content-length'));
      let length = 0;
      for await (const chunk of response.body) {
        length += chunk.byteLength;
        this.#options.counts.fetchedBytes += chunk.byteLength;
        if (length > this.sizeBytes) throw new BadResponse(`it has more than ${this.sizeBytes} bytes`);
        await this.#options.throttle.take(chunk.byteLength, signal);
        yield chunk;
      }
      if (length < this.sizeBytes) throw new BadResponse(`it ends after ${length} of ${this.sizeBytes} bytes`);
    } finally {
      response.discard();
    }
  }

  /** Repeats `attempt` with growing pauses; gives up after too many consecutive failures. */
  async retrying<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (thrown) {
        signal.throwIfAborted();
        if (thrown instanceof NoRanges || thrown instanceof AppError) throw thrown;
        if (thrown instanceof Error && thrown.cause instanceof AppError) throw thrown.cause;
        if (thrown instanceof RetryAfter && this.#waits < MAX_WAITS) {
          this.#waits++;
          this.#options.counts.waits++;
          await this.#pause(Math.min(thrown.waitMs, MAX_WAIT_MS), signal);
          continue;
        }
        this.#resolved = null;
        this.rangeBytes = MIN_RANGE_BYTES;
        this.#options.counts.retries++;
        // parallel ranges fail together when the connection breaks
        if (++this.#failures > MAX_FAILURES * RANGES) throw this.#failure(thrown);
        await this.#pause(Math.min(MAX_BACKOFF_MS, 250 * 2 ** Math.floor(this.#failures / RANGES)), signal);
      }
    }
  }

  async #request(headers: Record<string, string>, signal: AbortSignal): Promise<HttpResponse> {
    const response = await this.#options.http.get(this.#resolved ?? this.#url, headers, signal);
    if (response.status === 200 || response.status === 206) this.#resolved = response.url;
    return response;
  }

  async #readExactly({ body }: HttpResponse, length: number, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let read = 0;
    for await (const chunk of body) {
      this.#options.counts.fetchedBytes += chunk.byteLength;
      if (read + chunk.byteLength > length) throw new BadResponse(`a range of ${length} bytes was longer`);
      bytes.set(chunk, read);
      read += chunk.byteLength;
      await this.#options.throttle.take(chunk.byteLength, signal);
    }
    if (read < length) throw new BadResponse(`a range of ${length} bytes ended after ${read}`);
    return bytes;
  }

  /** By what was sent, not by the status: ModelScope sends the right slice with 200. */
  #assertRange(response: HttpResponse, start: number, length: number): void {
    const { status, header, url } = response;
    if (status === 403 && url.origin !== this.#url.origin) throw new RangeRefused('HTTP 403');
    if (status !== 200 && status !== 206) throw this.#badStatus(response);
    const coding = header('content-encoding');
    if (coding !== null && coding !== 'identity') throw new BadResponse(`it is sent as ${coding}`);
    const range = header('content-range');
    if (status === 200 && range === null) {
      this.#assertLength(header('content-length'));
      if (length !== this.sizeBytes) throw new RangeRefused('the server sent the whole file');
      return;
    }
    const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(range ?? '') ?? [];
    if (Number(first) !== start || Number(last) !== start + length - 1) throw new BadResponse(`the server sent another range (${range})`);
    if (total !== '*') this.#assertLength(total ?? null);
  }

  #assertLength(length: string | null): void {
    if (length !== null && Number(length) !== this.sizeBytes) throw new BadResponse(`it has ${length} bytes instead of ${this.sizeBytes}`);
  }

  #badStatus({ status, header, url }: HttpResponse): Error {
    // a redirect's target may only have expired
    if ((status === 401 || status === 403 || status === 404 || status === 410) && url.origin === this.#url.origin) {
      const advice = this.#options.advice?.refused ?? 'It may have been removed, or need another HF_TOKEN';
      const message = `${this.#url.host} refuses ${this.#file.path} (HTTP ${status}). ${advice}.`;
      return new AppError('download_failed', message, {});
    }
    const seconds = Number(header('retry-after'));
    if ((status === 429 || status === 503) && Number.isFinite(seconds) && seconds > 0) return new RetryAfter(seconds * 1000);
    return new BadResponse(`HTTP ${status}`);
  }

  #failure(thrown: unknown): AppError {
    if (!(thrown instanceof BadResponse || thrown instanceof RetryAfter || thrown instanceof RangeRefused))
      return unreachable(this.#url, thrown, this.#options.advice?.unreachable);
    const message = `${this.#file.path} cannot be fetched from ${this.#url.host}: ${thrown.message}. The part on disk is kept; resume later.`;
    return new AppError('download_failed', message, {}, { cause: thrown });
  }
}
