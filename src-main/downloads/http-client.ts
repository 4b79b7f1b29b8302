import { lookup } from 'node:dns';
import { EnvHttpProxyAgent, request } from 'undici';
import { errnoCode } from '#main/lib/errno-code.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { proxyUrl } from './proxy-url.ts';
import { isPublicAddress, redirectTarget } from './redirect-target.ts';

export interface HttpClientOptions {
  /** The server that the user or this program chose. It may be in a private network; servers that it redirects to may not. */
  origin: string;
  /** Sent to `origin` only, and never logged. */
  token: string | null;
  /** Values of HTTP_PROXY, HTTPS_PROXY and NO_PROXY; empty where unset. They are parsed at the first request. */
  proxies: { http: string; https: string; none: string };
  /** An additional certificate authority, PEM. */
  ca?: string;
  /** A connection without a byte for this long is closed. */
  silenceMs?: number;
  /** Which addresses redirects may lead to. */
  isPublic?: (address: string) => boolean;
}

/** A response whose body is still to be read, or dropped with `discard`. */
export interface HttpResponse {
  status: number;
  header(name: string): string | null;
  body: AsyncIterable<Uint8Array>;
  discard(): void;
  /** The address after all redirects. */
  url: URL;
}

export interface HttpClient {
  /** One GET that follows redirects. Throws `download_refused` for forbidden redirects, `download_failed` for unusable proxy settings; network errors are passed on. */
  get(url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<HttpResponse>;
  close(): Promise<void>;
}

/** The server that a redirect leads to does not answer: it is that one that errors name. */
class RedirectUnanswered extends Error {
  readonly url: URL;
  readonly code: string;

  constructor(url: URL, cause: unknown) {
    super(`${url.host} does not answer (${errnoCode(cause)})`, { cause: cause instanceof Error ? (cause.cause ?? cause) : cause });
    this.url = url;
    this.code = errnoCode(cause);
  }
}

const MAX_REDIRECTS = 5;
const CONNECT_TIMEOUT_MS = 15_000;
const SILENCE_MS = 30_000;

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { origin, token, isPublic = isPublicAddress } = options;
  let agents: ReturnType<typeof createAgents> | null = null;

  return {
    async get(first, headers, signal) {
      agents ??= createAgents(options, isPublic);
      let url = first;
      for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
        const isOwn = url.origin === origin;
        const asked = url;
        const response = await request(url, {
          dispatcher: isOwn ? agents.own : agents.foreign,
          headers: {
            'accept-encoding': 'identity',
            'user-agent': 'z-image-turbo-studio',
            ...headers,
            ...(isOwn && token !== null ? { authorization: `Bearer ${token}` } : {}),
          },
          signal,
        }).catch((cause: unknown) => {
          throw asked === first ? cause : new RedirectUnanswered(asked, cause);
        });
        const { statusCode: status, body } = response;
        const header = (name: string): string | null => [response.headers[name] ?? []].flat()[0] ?? null;
        const discard = (): void => {
          body.on('error', () => {}).destroy(); // destroying an unread body emits an error
        };
        const location = header('location');
        if (status < 300 || status > 399 || location === null) return { status, header, body, discard, url };
        discard();
        url = redirectTarget(url, location, origin, isPublic);
      }
      throw new AppError('download_refused', `${first.host} redirects more than ${MAX_REDIRECTS} times.`, {});
    },

    async close() {
      await Promise.all([agents?.own.destroy(), agents?.foreign.destroy()]);
    },
  };
}

function createAgents({ proxies, ca, silenceMs = SILENCE_MS }: HttpClientOptions, isPublic: (address: string) => boolean) {
  const tls = ca === undefined ? {} : { ca };
  const common = {
    httpProxy: proxyUrl('HTTP_PROXY', proxies.http),
    httpsProxy: proxyUrl('HTTPS_PROXY', proxies.https),
    noProxy: proxies.none,
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
    requestTls: tls,
  };
  return {
    own: new EnvHttpProxyAgent({ ...common, connect: { ...tls, timeout: CONNECT_TIMEOUT_MS } }),
    foreign: new EnvHttpProxyAgent({ ...common, connect: { ...tls, timeout: CONNECT_TIMEOUT_MS, lookup: publicLookup(isPublic) } }),
  };
}

/** `dns.lookup` that returns public addresses only, so that a name cannot lead into a private network. */
function publicLookup(isPublic: (address: string) => boolean): typeof lookup {
  const strict: unknown = (host: string, options: object, callback: (error: Error | null, address?: unknown, family?: number) => void): void => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error);
      const allowed = addresses.filter(({ address }) => isPublic(address));
      if (allowed.length === 0) return callback(new AppError('download_refused', `${host} resolves to a private address.`, {}));
      if ('all' in options && options.all === true) callback(null, allowed);
      else callback(null, allowed[0]?.address, allowed[0]?.family);
    });
  };
  return strict as typeof lookup;
}

/** `download_failed` for a server that did not respond; an `AppError` inside `cause` is returned as it is. */
export function unreachable(
  url: URL,
  cause: unknown,
  advice = 'Set HTTPS_PROXY if you need a proxy, or HF_ENDPOINT to use a mirror such as https://hf-mirror.com',
): AppError {
  if (cause instanceof AppError) return cause;
  if (cause instanceof Error && cause.cause instanceof AppError) return cause.cause;
  const { host } = cause instanceof RedirectUnanswered ? cause.url : url;
  return new AppError('download_failed', `${host} cannot be reached (${errnoCode(cause)}). Check the network. ${advice}.`, {}, { cause });
}
