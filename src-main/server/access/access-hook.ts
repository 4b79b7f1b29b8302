import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError, appError } from '#shared/protocol/errors.ts';
import { acceptsHtml, forwardPage, RETRY_MARK } from '../plain-pages.ts';
import type { RouteTable } from '../route-table.ts';
import { type AccessKey, KEY_COOKIE } from './access-key.ts';
import {
  type AccessRequest,
  type AccessRules,
  addressGroup,
  assertOneHost,
  authorizationKeys,
  checkHost,
  checkKey,
  checkSite,
  isFromThisMachine,
  isTrusted,
  type PresentedKeys,
  pagePaths,
  presentedKeys,
  signOfProxy,
} from './access-rules.ts';
import { createRateLimit } from './rate-limit.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Another machine needs the key here even where `--open` lifts it: settings, downloads, deletes. */
    insistsOnKey?: boolean;
    /** An unguessable address is the right to open it: no key is asked for, and pages of other sites may show it. */
    opensByLink?: boolean;
  }
}

const COOKIE_AGE_S = 365 * 24 * 3600;
const REQUESTS_PER_SECOND = 100;
const REQUESTS_AT_ONCE = 1000;

export interface Access {
  /** Whether the request presents the right key, needed or not. */
  hasKey(request: FastifyRequest): boolean;
  /**
   * A check, for later, whether the sender of an accepted request would still be accepted: the key may have changed.
   * It does not keep the request in memory.
   */
  stayCheck(request: FastifyRequest): () => boolean;
}

/** Guards every route, the WebSocket before its 101 included. Must be registered before the routes. */
export function registerAccess(app: FastifyInstance, rules: AccessRules, key: AccessKey, routes: RouteTable): Access {
  const rate = createRateLimit(REQUESTS_PER_SECOND, REQUESTS_AT_ONCE);
  let hasWarned = false;

  const presented = (request: FastifyRequest): PresentedKeys => presentedKeys(accessRequestOf(request.raw), tokenOf(request), KEY_COOKIE);

  const warnOfProxy = (seen: AccessRequest): void => {
    const host = hasWarned || rules.requireKey ? null : signOfProxy(seen, rules);
    if (host === null) return;
    hasWarned = true;
    const message =
      "A request over loopback was meant for another address than this server's. If a proxy or tunnel is in front, everybody behind it counts as this machine and needs no key: start the server with --require-key.";
    app.log.warn({ host, port: seen.localPort }, message);
  };

  app.addHook('onRequest', async (request, reply) => {
    const seen = accessRequestOf(request.raw);
    const retryAfterMs = isFromThisMachine(seen) ? 0 : rate.take(addressGroup(seen.remoteAddress));
    if (retryAfterMs > 0) throw appError('rate_limited', { retryAfterMs });
    if (request.raw.httpVersionMajor !== 1) throw new AppError('bad_message', `HTTP/${request.raw.httpVersion} was sent; it must be HTTP/1.1 or 1.0.`, {});
    assertOneHost(seen);
    // a page whose name was made to resolve to this machine cannot know the key
    if (!authorizationKeys(seen).some((candidate) => key.matches(candidate))) checkHost(seen, rules);
    warnOfProxy(seen);
    // the form that proxies get: it names a host of its own, past the rule above
    if (!seen.path.startsWith('/') && seen.path !== '*') throw new AppError('bad_message', 'The address must be a path; this server is not a proxy.', {});
    if (request.is404) {
      const path = routes.withoutSlash(seen.path);
      if (path !== null) return reply.redirect(path + request.url.slice(seen.path.length), 307);
      throw routes.notFound(seen.path);
    }
    if (request.routeOptions.config.opensByLink === true) return;
    checkSite(seen, rules);
    // a preflight brings no key and does nothing; the cors plugin answers it
    if (seen.method === 'OPTIONS') return;
    checkKey(seen, rules, () => isRight(presented(request), key), request.routeOptions.config.insistsOnKey === true);
    if (pagePaths.includes(seen.path)) return cleanAddress(request, reply, key);
  });

  return {
    hasKey: (request) => isRight(presented(request), key),
    stayCheck(request) {
      if (rules.open || isTrusted(accessRequestOf(request.raw), rules)) return () => true;
      const keys = presented(request);
      return () => isRight(keys, key);
    },
  };
}

/** What limits count a caller as: null for this machine, which has none. */
export function limitedAddress({ raw }: FastifyRequest): string | null {
  const seen = accessRequestOf(raw);
  return isFromThisMachine(seen) ? null : addressGroup(seen.remoteAddress);
}

/** What the rules look at, from Node's request. */
export function accessRequestOf(raw: IncomingMessage): AccessRequest {
  const { remoteAddress = '', localAddress = '', localPort = 0 } = raw.socket;
  return { method: raw.method ?? '', path: (raw.url ?? '').split('?')[0] ?? '', headers: raw.headersDistinct, remoteAddress, localAddress, localPort };
}

function isRight({ keys, cookies }: PresentedKeys, key: AccessKey): boolean {
  return keys.some((candidate) => key.matches(candidate)) || cookies.some((candidate) => key.matchesCookie(candidate));
}

function tokenOf(request: FastifyRequest): string | undefined {
  const { query } = request;
  const token: unknown = typeof query === 'object' && query !== null && 'token' in query ? query.token : undefined;
  return typeof token === 'string' ? token : undefined;
}

/** Moves the key from a page's address into a cookie: images and sockets of a page cannot send a header, and addresses get shared. */
function cleanAddress(request: FastifyRequest, reply: FastifyReply, key: AccessKey): FastifyReply | undefined {
  const token = tokenOf(request);
  const url = new URL(request.url, 'http://localhost');
  const isRetry = url.searchParams.has(RETRY_MARK);
  if (token !== undefined && key.matches(token)) {
    reply.header('set-cookie', `${KEY_COOKIE}=${key.cookieValue()}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${COOKIE_AGE_S}`);
  } else if (!isRetry) return undefined;
  url.searchParams.delete('token');
  url.searchParams.delete(RETRY_MARK);
  const address = url.pathname + url.search;
  reply.header('cache-control', 'no-store');
  // a redirect belongs to the link that began it, so a strict cookie would not travel along; a page of our own goes on with it
  if (acceptsHtml(request)) return reply.type('text/html; charset=utf-8').send(forwardPage(address));
  return reply.redirect(address, 303);
}
