import { z } from 'zod';
import { createHttpClient, type HttpClient, type HttpClientOptions, type HttpResponse, unreachable } from '#main/downloads/http-client.ts';
import { readText } from '#main/downloads/read-text.ts';
import { type Pause, pauseFor } from '#main/downloads/throttle.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { AppError } from '#shared/protocol/errors.ts';

export interface HubClientOptions extends Omit<HttpClientOptions, 'origin'> {
  /** `https://huggingface.co`, or a mirror with the same API. */
  endpoint: string;
  /** Whether every request is refused. */
  isOffline?: boolean;
  pause?: Pause;
}

/** A mirror that this program names in its messages is not trusted with the token. */
const MIRROR_HOST = 'hf-mirror.com';

/** One file in the listing of a repository. */
export interface ListedFile {
  path: string;
  sizeBytes: number;
  /** SHA-256 for files in LFS, git's SHA-1 otherwise. */
  hash: string;
}

export interface RepositoryListing {
  commit: string;
  license: string | null;
  files: ListedFile[];
}

export interface HubClient extends HttpClient {
  /** The files of the repository at the commit that `revision` points to now. Throws `repository_unavailable`, `download_refused`, `download_failed`. */
  list(repository: string, revision: string, signal: AbortSignal): Promise<RepositoryListing>;
  fileUrl(repository: string, commit: string, path: string): URL;
}

const MAX_API_BYTES = 16 * 1024 * 1024;
const MAX_PAGES = 50;
const MAX_FILES = 10_000;
/** An API call is retried when the connection or the server fails. */
const API_ATTEMPTS = 4;
const MAX_API_WAIT_MS = 60_000;

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

/** The Hugging Face Hub API. Source: https://huggingface.co/docs/hub/api */
export function createHubClient({ endpoint: endpointText, isOffline = false, pause = pauseFor, ...http }: HubClientOptions): HubClient {
  let connected: { endpoint: URL; prefix: string; client: HttpClient } | null = null;

  /** The address is checked at the first use: a wrong one must not stop the rest of the program. */
  function connect(): NonNullable<typeof connected> {
    if (connected !== null) return connected;
    if (isOffline) throw new AppError('download_failed', 'HF_HUB_OFFLINE is set, so nothing is downloaded. Unset it and start again to download models.', {});
    const endpoint = parseEndpoint(endpointText);
    const token = endpoint.hostname === MIRROR_HOST ? null : http.token;
    connected = { endpoint, prefix: endpoint.pathname.replace(/\/$/, ''), client: createHttpClient({ ...http, token, origin: endpoint.origin }) };
    return connected;
  }

  async function getJson(url: URL, repository: string, signal: AbortSignal): Promise<{ value: unknown; link: string | null }> {
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt === API_ATTEMPTS;
      const response = await connect()
        .client.get(url, { accept: 'application/json' }, signal)
        .catch((cause: unknown) => {
          if (cause instanceof AppError || signal.aborted) throw cause;
          if (isLast || !isTransient(cause)) throw unreachable(url, cause);
          return null;
        });
      if (response?.status === 200) {
        const text = await readText(response, MAX_API_BYTES);
        try {
          return { value: JSON.parse(text), link: response.header('link') };
        } catch (cause) {
          throw notTheApi(url, 'invalid JSON', cause);
        }
      }
      response?.discard();
      if (response !== null && (isLast || (response.status !== 429 && response.status < 500))) throw badStatus(response, repository, http.token !== null);
      const retryAfterSeconds = Number(response?.header('retry-after') ?? Number.NaN);
      await pause(Math.min(MAX_API_WAIT_MS, Number.isFinite(retryAfterSeconds) ? retryAfterSeconds * 1000 : 250 * 2 ** attempt), signal);
    }
  }

  return {
    get: async (url, headers, signal) => connect().client.get(url, headers, signal),
    close: async () => connected?.client.close(),

    fileUrl(repository, commit, path) {
      const { prefix, endpoint } = connect();
      return new URL(`${prefix}/${repository}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`, endpoint);
    },

    async list(repository, revision, signal) {
      const { prefix, endpoint } = connect();
      const revisionUrl = new URL(`${prefix}/api/models/${repository}/revision/${encodeURIComponent(revision)}`, endpoint);
      const found = revisionSchema.safeParse((await getJson(revisionUrl, repository, signal)).value);
      if (!found.success) throw notTheApi(revisionUrl, 'no commit', found.error);
      const { sha: commit, cardData } = found.data;
      const files: ListedFile[] = [];
      let next: URL | null = new URL(`${prefix}/api/models/${repository}/tree/${commit}?recursive=true`, endpoint);
      for (let pages = 0; next !== null; pages++) {
        if (pages >= MAX_PAGES || files.length > MAX_FILES) throw notTheApi(next, `more than ${MAX_FILES} files`);
        const { value, link } = await getJson(next, repository, signal);
        const page = treeSchema.safeParse(value);
        if (!page.success) throw notTheApi(next, 'no list of files', page.error);
        for (const { type, path, size, oid, lfs } of page.data) {
          if (type === 'file') files.push({ path, sizeBytes: lfs?.size ?? size ?? 0, hash: lfs?.oid ?? oid ?? '' });
        }
        next = nextPage(link, next, endpoint);
      }
      return { commit, license: cardData?.license ?? null, files };
    },
  };
}

function parseEndpoint(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && ['https:', 'http:'].includes(url.protocol) && url.username === '' && url.search === '') return url;
  throw new AppError('download_failed', `HF_ENDPOINT is ${JSON.stringify(text)}; it must be an address such as https://huggingface.co.`, {});
}

/** Source: https://www.rfc-editor.org/rfc/rfc8288. Only pages of the same origin are followed. */
function nextPage(link: string | null, from: URL, endpoint: URL): URL | null {
  const [, target] = /<([^>]+)>\s*;[^,]*\brel="?next"?/.exec(link ?? '') ?? [];
  if (target === undefined || !URL.canParse(target, from.href)) return null;
  const url = new URL(target, from);
  return url.origin === endpoint.origin ? url : null;
}

/** A broken connection may work the next time; an unknown host or a closed port will not within seconds. */
function isTransient(cause: unknown): boolean {
  return !(cause instanceof Error && cause.cause instanceof AppError) && !['ENOTFOUND', 'ECONNREFUSED', 'EAI_AGAIN'].includes(errnoCode(cause));
}

/** The hub answers 401 also for a missing repository; `X-Error-Code` distinguishes the cases. Source: huggingface_hub `utils/_http.py`. */
function badStatus({ status, header }: HttpResponse, repository: string, hasToken: boolean): AppError {
  const unavailable = (what: string) => new AppError('repository_unavailable', `${repository} ${what}`, { repository });
  const code = header('x-error-code');
  const login = hasToken ? 'Check that your token belongs to that account' : 'Then set HF_TOKEN, or run hf auth login, and start again';
  if (code === 'GatedRepo') return unavailable(`is gated (HTTP ${status}): its authors ask you to accept their terms on its page first. ${login}.`);
  if (code === 'RevisionNotFound') return unavailable(`has no such revision (HTTP ${status}). Use a branch, tag or commit that its page lists.`);
  if (code === 'RepoNotFound') {
    const advice = hasToken ? 'or use a token that has access' : 'or set HF_TOKEN to a token that has access';
    return unavailable(`does not exist, or is private (HTTP ${status}). Check its name, ${advice}.`);
  }
  if (status === 401 || status === 403) {
    const advice = hasToken
      ? 'Your token has no access to it. Accept its terms on its page'
      : 'It is private, gated or missing. Check its name, or set HF_TOKEN';
    return unavailable(`cannot be accessed (HTTP ${status}). ${advice}.`);
  }
  if (status === 404) return unavailable(`does not exist, or it has no such revision (HTTP 404).`);
  const wait = header('retry-after');
  const advice = status === 429 ? `Too many requests from this address${wait === null ? '' : `. Try again in ${wait} s`}` : 'Try again later';
  return new AppError('download_failed', `The file list of ${repository} is not available (HTTP ${status}). ${advice}.`, {});
}

function notTheApi(url: URL, what: string, cause?: unknown): AppError<'download_failed'> {
  return new AppError('download_failed', `${url.host} returned ${what} for ${url.pathname}. Check HF_ENDPOINT.`, {}, { cause });
}
