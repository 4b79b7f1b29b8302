import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { syncFile } from '#main/lib/sync-file.ts';
import { diskError } from '#main/lib/write-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { type HubAnswer, type HubClient, unreachable } from './hub-client.ts';
import type { HubFile } from './model-records.ts';
import { type Pause, pauseFor, type Throttle } from './throttle.ts';

/** What went wrong on the way and was mended; summed up over all files of a download. */
export interface FetchCounts {
  /** Bytes that came over the network, those that were thrown away included. */
  fetchedBytes: number;
  retries: number;
  /** Times that a server gave the whole file where a part was asked for. */
  rangesIgnored: number;
  /** Times that it was another file in the middle of it. */
  changes: number;
  /** Times that the bytes had not the hash that was told, so that the file began anew. */
  wrongHashes: number;
  /** Times that the server asked for patience (HTTP 429 or 503 with Retry-After). */
  waits: number;
}

export interface FetchParts {
  hub: Pick<HubClient, 'get'>;
  /** What to do, as the end of a sentence, where the server has not the file any more and where it cannot be reached; without it, of Hugging Face. */
  advice?: { refused: string; unreachable: string };
  throttle: Throttle;
  signal: AbortSignal;
  /** Bytes of the file that are safe on the disk now; falls where it begins anew. */
  onBytes(done: number): void;
  counts: FetchCounts;
  pause?: Pause;
}

/** So many ranges are asked for at once, each of so many bytes: what a kill can cost is their product, 7.9 MB a file. */
const RANGES = 8;
const RANGE_BYTES = 983_040;
const SYNC_BYTES = 256 * 1024 * 1024;
/** Failures in a row, without a byte of progress between them, after which nobody expects a change. */
const MAX_FAILURES = 12;
const MAX_WRONG_HASHES = 3;
const MAX_WAITS = 30;
const MAX_WAIT_MS = 120_000;
const MAX_BACKOFF_MS = 10_000;

/**
 * Fetches a file into `partPath`, going on where that file ends. Ranges are fetched side by side and written in order, so that the part is always a true
 * beginning; each byte is hashed as it is written. Resolves when all bytes are on the disk and have the hash.
 * Throws `download_failed`, `download_refused`, `disk_full`, `folder_not_writable`, or the signal's reason; the part stays for the next attempt.
 */
export async function fetchFile(url: URL, file: HubFile, partPath: string, parts: FetchParts): Promise<void> {
  // a link that somebody put in the place of the part is not followed: what it leads to would be overwritten
  const handle = await open(partPath, constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0), 0o644).catch(async (cause: unknown) => {
    throw await diskError(cause, partPath, file.sizeBytes);
  });
  try {
    const part = await Part.open(handle, file, partPath);
    const source = new Source(url, file, parts);
    for (let wrongHashes = 0; ; ) {
      parts.onBytes(part.length);
      await fillPart(part, source, parts);
      if (part.hasRightHash()) break;
      parts.counts.wrongHashes++;
      await part.restart();
      if (++wrongHashes >= MAX_WRONG_HASHES) {
        const message = `What ${url.host} sends as ${file.path} has not the hash that it tells, ${wrongHashes} times in a row; the file was thrown away.`;
        throw new AppError('download_failed', message, {});
      }
    }
    await syncFile(part);
  } finally {
    await handle.close();
  }
}

/** The growing file: always a beginning of the whole, and hashed as far as it goes. */
class Part {
  readonly #handle: FileHandle;
  readonly #file: HubFile;
  readonly #path: string;
  #hash: Hash;
  #length = 0;
  #unsynced = 0;

  private constructor(handle: FileHandle, file: HubFile, path: string) {
    this.#handle = handle;
    this.#file = file;
    this.#path = path;
    this.#hash = newHash(file);
  }

  static async open(handle: FileHandle, file: HubFile, path: string): Promise<Part> {
    const part = new Part(handle, file, path);
    const { size } = await handle.stat();
    if (size > file.sizeBytes) await part.restart();
    else await part.#hashWhatIsThere(size);
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
    await this.#handle.truncate(0);
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

  async #hashWhatIsThere(size: number): Promise<void> {
    const buffer = new Uint8Array(4 * 1024 * 1024);
    while (this.#length < size) {
      const { bytesRead } = await this.#handle.read(buffer, 0, Math.min(buffer.byteLength, size - this.#length), this.#length);
      if (bytesRead === 0) return;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.#length += bytesRead;
    }
  }
}

/** Large files are known by their SHA-256, small ones by git's name for their content: SHA-1 over `blob SIZE NUL` and the bytes. */
function newHash({ hash, sizeBytes }: HubFile): Hash {
  return hash.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${sizeBytes}\0`);
}

async function fillPart(part: Part, source: Source, parts: FetchParts): Promise<void> {
  while (part.length < source.sizeBytes) {
    try {
      if (source.hasRanges) await fillByRanges(part, source, parts);
      else await fillInOnePiece(part, source, parts);
    } catch (thrown) {
      if (!(thrown instanceof ChangedMidway)) throw thrown;
      parts.counts.changes++;
      await part.restart();
      parts.onBytes(0);
    }
  }
}

async function fillByRanges(part: Part, source: Source, { signal, onBytes }: FetchParts): Promise<void> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const inFlight: Promise<Uint8Array>[] = [];
  let asked = part.length;
  try {
    while (part.length < source.sizeBytes && source.hasRanges) {
      for (; inFlight.length < RANGES && asked < source.sizeBytes; asked += RANGE_BYTES) {
        const range = source.range(asked, Math.min(RANGE_BYTES, source.sizeBytes - asked), both);
        range.catch(() => {}); // whoever awaits it hears of it; one that nobody awaits any more was called off
        inFlight.push(range);
      }
      const head = inFlight.shift();
      if (head === undefined) return;
      await part.append(await head);
      onBytes(part.length);
    }
  } catch (thrown) {
    if (!(thrown instanceof RangesIgnored)) throw thrown;
  } finally {
    stop.abort();
    await Promise.allSettled(inFlight);
  }
}

/** For a server that gives the whole file whatever is asked for: what is here already is let pass. */
async function fillInOnePiece(part: Part, source: Source, { signal, onBytes }: FetchParts): Promise<void> {
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

class RangesIgnored extends Error {}
class ChangedMidway extends Error {}
/** An answer that is not what was asked for; worth another attempt. */
class BadAnswer extends Error {}
class AskedToWait extends Error {
  readonly waitMs: number;
  constructor(waitMs: number) {
    super(`the server asks to wait ${waitMs} ms`);
    this.waitMs = waitMs;
  }
}

/** The file on its server: knows where it was found, retries, and notices when it becomes another. */
class Source {
  readonly sizeBytes: number;
  hasRanges = true;
  readonly #url: URL;
  readonly #file: HubFile;
  readonly #parts: FetchParts;
  readonly #pause: Pause;
  /** Where the last redirect led; signed addresses expire, then the first is asked again. */
  #found: URL | null = null;
  #etag: string | null = null;
  #etagChanges = 0;
  #failures = 0;
  #waits = 0;

  constructor(url: URL, file: HubFile, parts: FetchParts) {
    this.#url = url;
    this.#file = file;
    this.#parts = parts;
    this.#pause = parts.pause ?? pauseFor;
    this.sizeBytes = file.sizeBytes;
  }

  progressed(): void {
    this.#failures = 0;
  }

  async range(start: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    return this.retrying(signal, async () => {
      const answer = await this.#ask({ range: `bytes=${start}-${start + length - 1}` }, signal);
      try {
        if (answer.status === 200) {
          this.hasRanges = false;
          this.#parts.counts.rangesIgnored++;
          throw new RangesIgnored();
        }
        if (answer.status !== 206) throw this.#badStatus(answer);
        this.#assertRange(answer.header('content-range'), start, length);
        this.#assertSameFile(answer.header('etag'));
        const bytes = await this.#readExactly(answer, length, signal);
        this.progressed();
        return bytes;
      } catch (thrown) {
        answer.discard();
        throw thrown;
      }
    });
  }

  /** The file from its first byte to its last; never longer than it should be. */
  async *whole(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const answer = await this.#ask({}, signal);
    try {
      if (answer.status !== 200) throw this.#badStatus(answer);
      const told = answer.header('content-length');
      if (told !== null && Number(told) !== this.sizeBytes) throw new BadAnswer(`it has ${told} bytes instead of ${this.sizeBytes}`);
      let length = 0;
      for await (const chunk of answer.body) {
        length += chunk.byteLength;
        this.#parts.counts.fetchedBytes += chunk.byteLength;
        if (length > this.sizeBytes) throw new BadAnswer(`it has more than ${this.sizeBytes} bytes`);
        await this.#parts.throttle.take(chunk.byteLength, signal);
        yield chunk;
      }
      if (length < this.sizeBytes) throw new BadAnswer(`it ends after ${length} of ${this.sizeBytes} bytes`);
    } finally {
      answer.discard();
    }
  }

  /** Runs `attempt` until it succeeds, with growing pauses; gives up after several failures in a row. */
  async retrying<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (thrown) {
        signal.throwIfAborted();
        if (thrown instanceof RangesIgnored || thrown instanceof ChangedMidway || thrown instanceof AppError) throw thrown;
        if (thrown instanceof Error && thrown.cause instanceof AppError) throw thrown.cause;
        if (thrown instanceof AskedToWait && this.#waits < MAX_WAITS) {
          this.#waits++;
          this.#parts.counts.waits++;
          await this.#pause(Math.min(thrown.waitMs, MAX_WAIT_MS), signal);
          continue;
        }
        this.#found = null;
        this.#parts.counts.retries++;
        // ranges fail together where the line breaks: they count as one failure each, so the limit is theirs all together
        if (++this.#failures > MAX_FAILURES * RANGES) throw this.#hopeless(thrown);
        await this.#pause(Math.min(MAX_BACKOFF_MS, 250 * 2 ** Math.floor(this.#failures / RANGES)), signal);
      }
    }
  }

  async #ask(headers: Record<string, string>, signal: AbortSignal): Promise<HubAnswer> {
    const answer = await this.#parts.hub.get(this.#found ?? this.#url, headers, signal);
    if (answer.status === 200 || answer.status === 206) this.#found = answer.url;
    return answer;
  }

  async #readExactly({ body }: HubAnswer, length: number, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let read = 0;
    for await (const chunk of body) {
      this.#parts.counts.fetchedBytes += chunk.byteLength;
      if (read + chunk.byteLength > length) throw new BadAnswer(`a range of ${length} bytes came with more`);
      bytes.set(chunk, read);
      read += chunk.byteLength;
      await this.#parts.throttle.take(chunk.byteLength, signal);
    }
    if (read < length) throw new BadAnswer(`a range of ${length} bytes ended after ${read}`);
    return bytes;
  }

  #assertRange(told: string | null, start: number, length: number): void {
    const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(told ?? '') ?? [];
    if (Number(first) !== start || Number(last) !== start + length - 1) throw new BadAnswer(`another range came than was asked for (${told})`);
    if (total !== '*' && Number(total) !== this.sizeBytes) throw new BadAnswer(`it has ${total} bytes instead of ${this.sizeBytes}`);
  }

  /** A server whose ETags change all the time is believed no longer: the hash at the end decides. */
  #assertSameFile(etag: string | null): void {
    if (etag === null || this.#etagChanges >= 2) return;
    if (this.#etag === null) this.#etag = etag;
    else if (this.#etag !== etag) {
      this.#etag = null;
      this.#etagChanges++;
      throw new ChangedMidway();
    }
  }

  #badStatus({ status, header, url }: HubAnswer): Error {
    // where a redirect led, the address may only have expired
    if ((status === 401 || status === 403 || status === 404 || status === 410) && url.origin === this.#url.origin) {
      const message = `${this.#url.host} does not give ${this.#file.path} (HTTP ${status}); ${this.#parts.advice?.refused ?? 'it may have been taken back, or want another HF_TOKEN'}.`;
      return new AppError('download_failed', message, {});
    }
    const seconds = Number(header('retry-after'));
    if ((status === 429 || status === 503) && Number.isFinite(seconds) && seconds > 0) return new AskedToWait(seconds * 1000);
    return new BadAnswer(`HTTP ${status}`);
  }

  #hopeless(thrown: unknown): AppError {
    if (!(thrown instanceof BadAnswer || thrown instanceof AskedToWait)) return unreachable(this.#url, thrown, this.#parts.advice?.unreachable);
    const message = `${this.#file.path} cannot be fetched from ${this.#url.host}: ${thrown.message}. What was fetched is kept; resume when the server is well again.`;
    return new AppError('download_failed', message, {}, { cause: thrown });
  }
}
