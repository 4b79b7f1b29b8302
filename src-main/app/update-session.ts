import type { Session } from 'electron';
import { UpdateRefusal } from './update-refusal.ts';

const FETCH_TIMEOUT_MS = 30_000;

/** Network access of updates. */
export interface UpdateSession {
  /** A file of at most `maxBytes`. Throws `UpdateRefusal`. */
  fetchBytes(url: URL, maxBytes: number): Promise<Buffer>;
  /** From now on refuses answers of another length; null allows any. */
  expectBytes(sizeBytes: number | null): void;
  /** Returns and clears the reason of the last refused request: its caller sees only a blocked request. */
  takeRefusal(): UpdateRefusal | null;
}

/** Limits all requests of `session`, also redirects, to https or the feed's own origin, and to the announced length. */
export function guardUpdateSession(session: Session, feed: URL): UpdateSession {
  let expectedBytes: number | null = null;
  let refusal: UpdateRefusal | null = null;

  session.webRequest.onBeforeRequest((details, callback) => {
    const { protocol, origin } = new URL(details.url);
    const isSafe = protocol === 'https:' || origin === feed.origin;
    if (!isSafe) refusal = new UpdateRefusal('insecure_address', origin);
    callback({ cancel: !isSafe });
  });
  session.webRequest.onHeadersReceived((details, callback) => {
    const length = headerOf(details.responseHeaders ?? {}, 'content-length');
    const isWrong = expectedBytes !== null && details.statusCode === 200 && length !== String(expectedBytes);
    if (isWrong) refusal = new UpdateRefusal('wrong_size', length ?? '?');
    callback({ cancel: isWrong });
  });

  const takeRefusal = (): UpdateRefusal | null => {
    const taken = refusal;
    refusal = null;
    return taken;
  };

  return {
    takeRefusal,
    expectBytes: (sizeBytes) => {
      expectedBytes = sizeBytes;
    },
    fetchBytes: async (url, maxBytes) => {
      try {
        const response = await session.fetch(url.href, { cache: 'no-store', signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
        const file = url.pathname.split('/').at(-1) ?? '';
        if (response.status === 404) throw new UpdateRefusal(file.endsWith('.sig') ? 'bad_signature' : 'no_channel', file);
        if (!response.ok || response.body === null) throw new UpdateRefusal('unreachable', `HTTP ${response.status}`);
        if (response.headers.get('content-type')?.includes('html')) throw new UpdateRefusal('not_a_feed', `${file}: HTML`);
        return await readAtMost(response.body, maxBytes);
      } catch (cause) {
        if (cause instanceof UpdateRefusal) throw cause;
        throw takeRefusal() ?? new UpdateRefusal('unreachable', cause instanceof Error ? cause.message : String(cause), { cause });
      }
    },
  };
}

async function readAtMost(body: ReadableStream<Uint8Array>, maxBytes: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.byteLength;
    if (bytes > maxBytes) throw new UpdateRefusal('wrong_size', `> ${maxBytes}`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function headerOf(headers: Record<string, string[]>, wanted: string): string | undefined {
  return Object.entries(headers).find(([name]) => name.toLowerCase() === wanted)?.[1][0];
}
