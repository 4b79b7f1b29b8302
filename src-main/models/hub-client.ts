import { lookup } from 'node:dns';
import { EnvHttpProxyAgent, request } from 'undici';
import { z } from 'zod';
import { errnoCode } from '#main/lib/errno-code.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { isPublicAddress, redirectTarget } from './hub-address.ts';
import { type Pause, pauseFor } from './throttle.ts';

export interface HubOptions {
  /** `https://huggingface.co` or a mirror that speaks the same API. */
  endpoint: string;
  /** Sent to the endpoint's own origin and to nobody else; never written anywhere. */
  token: string | null;
  /** Proxies as the environment names them; empty strings are none. */
  proxies: { http: string; https: string; none: string };
  /** A certificate authority beside the system's, PEM. */
  ca?: string;
  /** Without a byte for so long a connection is given up. */
  silenceMs?: number;
  pause?: Pause;
  /** Which addresses redirects may lead to. */
  isPublic?: (address: string) => boolean;
}

/** An answer whose body is still to be read, or thrown away by `discard`. */
export interface HubAnswer {
  status: number;
  header(name: string): string | null;
  body: AsyncIterable<Uint8Array>;
  discard(): void;
  /** Where it came from in the end: asking there again saves the redirect. */
  url: URL;
}

/** One entry of a repository's list of files. */
export interface ListedFile {
  path: string;
  sizeBytes: number;
  hash: string;
}

export interface RepositoryListing {
  commit: string;
  license: string | null;
  files: ListedFile[];
}

export interface HubClient {
  /** The repository's files at the commit that `revision` is now. Throws `repository_unavailable`, `download_refused`, `download_failed`. */
  list(repository: string, revision: string, signal: AbortSignal): Promise<RepositoryListing>;
  fileUrl(repository: string, commit: string, path: string): URL;
  /** One GET with its redirects followed. Network errors are thrown as they are; redirects that lead astray as `download_refused`. */
  get(url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<HubAnswer>;
  close(): Promise<void>;
}

const MAX_REDIRECTS = 5;
const MAX_API_BYTES = 16 * 1024 * 1024;
const MAX_PAGES = 50;
const MAX_FILES = 10_000;
/** A list of files is asked for so often when the line or the server fails; after that a person is asked. */
const API_ATTEMPTS = 4;
const MAX_API_WAIT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 15_000;
const SILENCE_MS = 30_000;

const revisionSchema = z.object({
  sha: z.string().regex(/^[0-9a-f]{40}$/),
  cardData: z
    .object({ license: z.string().max(100).optional().catch(undefined) })
    .optional()
    .catch(undefined),
});
const treeSchema = z.array(
  z.object({
    type: z.string(),
    path: z.string().max(1024),
    size: z.number().int().nonnegative().optional(),
    oid: z.string().max(128).optional(),
    lfs: z.object({ oid: z.string().max(128), size: z.number().int().nonnegative() }).optional(),
  }),
);

/** Hugging Face's API. Source: https://huggingface.co/docs/hub/api */
export function createHubClient({
  endpoint: endpointText,
  token,
  proxies,
  ca,
  silenceMs = SILENCE_MS,
  pause = pauseFor,
  isPublic = isPublicAddress,
}: HubOptions): HubClient {
  const endpoint = new URL(endpointText);
  const prefix = endpoint.pathname.replace(/\/$/, '');
  const tls = ca === undefined ? {} : { ca };
  const common = {
    httpProxy: proxies.http,
    httpsProxy: proxies.https,
    noProxy: proxies.none,
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
    requestTls: tls,
  };
  // the endpoint is the user's own choice and may be in their network; what it redirects to may not
  const toEndpoint = new EnvHttpProxyAgent({ ...common, connect: { ...tls, timeout: CONNECT_TIMEOUT_MS } });
  const toElsewhere = new EnvHttpProxyAgent({ ...common, connect: { ...tls, timeout: CONNECT_TIMEOUT_MS, lookup: publicLookup(isPublic) } });

  async function get(first: URL, headers: Record<string, string>, signal: AbortSignal): Promise<HubAnswer> {
    let url = first;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const isEndpoint = url.origin === endpoint.origin;
      const {
        statusCode,
        headers: answered,
        body,
      } = await request(url, {
        dispatcher: isEndpoint ? toEndpoint : toElsewhere,
        headers: {
          'accept-encoding': 'identity',
          'user-agent': 'z-image-turbo-studio',
          ...headers,
          ...(isEndpoint && token !== null ? { authorization: `Bearer ${token}` } : {}),
        },
        signal,
      });
      const header = (name: string): string | null => [answered[name] ?? []].flat()[0] ?? null;
      const discard = (): void => {
        body.on('error', () => {}).destroy(); // a body that is cut off by us tells so
      };
      const location = header('location');
      if (statusCode < 300 || statusCode > 399 || location === null) return { status: statusCode, header, body, discard, url };
      discard();
      url = redirectTarget(url, location, endpoint, isPublic);
    }
    throw new AppError('download_refused', `${first.host} redirects more than ${MAX_REDIRECTS} times; that is not followed further.`, {});
  }

  async function getJson(url: URL, repository: string, signal: AbortSignal): Promise<{ value: unknown; link: string | null }> {
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt === API_ATTEMPTS;
      const answer = await get(url, { accept: 'application/json' }, signal).catch((cause: unknown) => {
        if (cause instanceof AppError || signal.aborted) throw cause;
        if (isLast || !isPassing(cause)) throw unreachable(url, cause);
        return null;
      });
      if (answer?.status === 200) {
        const text = await readLimited(answer, url);
        try {
          return { value: JSON.parse(text), link: answer.header('link') };
        } catch (cause) {
          throw notTheApi(url, 'is no JSON', cause);
        }
      }
      answer?.discard();
      if (answer !== null && (isLast || (answer.status !== 429 && answer.status < 500))) throw badStatus(answer, repository, token !== null);
      const asked = Number(answer?.header('retry-after') ?? Number.NaN);
      await pause(Math.min(MAX_API_WAIT_MS, Number.isFinite(asked) ? asked * 1000 : 250 * 2 ** attempt), signal);
    }
  }

  return {
    get,
    fileUrl: (repository, commit, path) => new URL(`${prefix}/${repository}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`, endpoint),

    async list(repository, revision, signal) {
      const revisionUrl = new URL(`${prefix}/api/models/${repository}/revision/${encodeURIComponent(revision)}`, endpoint);
      const found = revisionSchema.safeParse((await getJson(revisionUrl, repository, signal)).value);
      if (!found.success) throw notTheApi(revisionUrl, 'names no commit', found.error);
      const { sha: commit, cardData } = found.data;
      const files: ListedFile[] = [];
      let next: URL | null = new URL(`${prefix}/api/models/${repository}/tree/${commit}?recursive=true`, endpoint);
      for (let pages = 0; next !== null; pages++) {
        if (pages >= MAX_PAGES || files.length > MAX_FILES) throw notTheApi(next, `lists more than ${MAX_FILES} files`);
        const { value, link } = await getJson(next, repository, signal);
        const page = treeSchema.safeParse(value);
        if (!page.success) throw notTheApi(next, 'is no list of files', page.error);
        for (const { type, path, size, oid, lfs } of page.data) {
          if (type === 'file') files.push({ path, sizeBytes: lfs?.size ?? size ?? 0, hash: lfs?.oid ?? oid ?? '' });
        }
        next = nextPage(link, next, endpoint);
      }
      return { commit, license: cardData?.license ?? null, files };
    },

    async close() {
      await Promise.all([toEndpoint.destroy(), toElsewhere.destroy()]);
    },
  };
}

/** `dns.lookup` that answers only with public addresses. A name that leads into a private network is refused as if it were that address. */
function publicLookup(isPublic: (address: string) => boolean): typeof lookup {
  const strict: unknown = (host: string, options: object, callback: (error: Error | null, address?: unknown, family?: number) => void): void => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error);
      const allowed = addresses.filter(({ address }) => isPublic(address));
      if (allowed.length === 0) return callback(new AppError('download_refused', `${host} leads to a private address; that is not followed.`, {}));
      if ('all' in options && options.all === true) callback(null, allowed);
      else callback(null, allowed[0]?.address, allowed[0]?.family);
    });
  };
  return strict as typeof lookup;
}

/** Source: https://www.rfc-editor.org/rfc/rfc8288; pages elsewhere are not asked for. */
function nextPage(link: string | null, from: URL, endpoint: URL): URL | null {
  const [, target] = /<([^>]+)>\s*;[^,]*\brel="?next"?/.exec(link ?? '') ?? [];
  if (target === undefined || !URL.canParse(target, from.href)) return null;
  const url = new URL(target, from);
  return url.origin === endpoint.origin ? url : null;
}

async function readLimited(answer: HubAnswer, url: URL): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of answer.body) {
      bytes += chunk.byteLength;
      if (bytes > MAX_API_BYTES) throw notTheApi(url, `is larger than ${MAX_API_BYTES} bytes`);
      chunks.push(chunk);
    }
  } catch (cause) {
    answer.discard();
    if (cause instanceof AppError) throw cause;
    throw unreachable(url, cause);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** A connection that was broken off may hold the next time; a name that is not there or a port where nobody listens will not be there in a second. */
function isPassing(cause: unknown): boolean {
  return !(cause instanceof Error && cause.cause instanceof AppError) && !['ENOTFOUND', 'ECONNREFUSED', 'EAI_AGAIN'].includes(errnoCode(cause));
}

function badStatus({ status, header }: HubAnswer, repository: string, hasToken: boolean): AppError {
  if (status === 401 || status === 403) {
    const advice = hasToken
      ? 'the HF_TOKEN that is set has no right to it: agree to its terms on its page'
      : 'it is private, gated or not there: check its name, or set HF_TOKEN';
    return new AppError('repository_unavailable', `${repository} is not given out (HTTP ${status}); ${advice}.`, { repository });
  }
  if (status === 404)
    return new AppError('repository_unavailable', `There is no repository ${repository}, or it has no such revision (HTTP 404).`, { repository });
  const wait = header('retry-after');
  const advice = status === 429 ? `too much was asked from this address${wait === null ? '' : `, try again in ${wait} s`}` : 'try again later';
  return new AppError('download_failed', `The list of files of ${repository} cannot be had (HTTP ${status}); ${advice}.`, {});
}

/** Also used for files: one sentence for a server that cannot be reached. */
export function unreachable(url: URL, cause: unknown, advice = 'HTTPS_PROXY names a proxy and HF_ENDPOINT a mirror'): AppError {
  if (cause instanceof Error && cause.cause instanceof AppError) return cause.cause;
  return new AppError('download_failed', `${url.host} cannot be reached (${errnoCode(cause)}). Check the network; ${advice}.`, {}, { cause });
}

function notTheApi(url: URL, what: string, cause?: unknown): AppError<'download_failed'> {
  return new AppError('download_failed', `What ${url.host} answers at ${url.pathname} ${what}; is HF_ENDPOINT right?`, {}, { cause });
}
