import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError, appError } from '#shared/protocol/errors.ts';
import { forwardPage } from '../plain-pages.ts';
import type { RouteTable } from '../route-table.ts';
import type { AccessKey } from './access-key.ts';
import {
  type AccessRequest,
  type AccessRules,
  addressGroup,
  assertOneHost,
  checkHost,
  checkKey,
  checkSite,
  isFromThisMachine,
  presentedKeys,
} from './access-rules.ts';
import { createRateLimit } from './rate-limit.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Another machine needs the key here even where `--open` lifts it: settings, downloads, deletes. */
    insistsOnKey?: boolean;
  }
}

const COOKIE_NAME = 'zimage_key';
const COOKIE_AGE_S = 365 * 24 * 3600;
const REQUESTS_PER_SECOND = 100;
const REQUESTS_AT_ONCE = 1000;

export interface Access {
  /** A check, for later, whether the sender of a request that was let in still would be: the key may be rotated meanwhile. It keeps nothing of the request alive. */
  stayCheck(request: FastifyRequest): () => boolean;
}

/** Guards every route, the WebSocket before its 101 included. Must be registered before the routes. */
export function registerAccess(app: FastifyInstance, rules: AccessRules, key: AccessKey, routes: RouteTable): Access {
  const rate = createRateLimit(REQUESTS_PER_SECOND, REQUESTS_AT_ONCE);

  app.addHook('onRequest', async (request, reply) => {
    const seen = accessRequestOf(request.raw);
    const retryAfterMs = isFromThisMachine(seen) ? 0 : rate.take(addressGroup(seen.remoteAddress));
    if (retryAfterMs > 0) throw appError('rate_limited', { retryAfterMs });
    if (request.raw.httpVersionMajor !== 1) throw new AppError('bad_message', `HTTP/${request.raw.httpVersion} was sent; it must be HTTP/1.1 or 1.0.`, {});
    assertOneHost(seen);
    checkHost(seen, rules);
    // the form that proxies are asked in: it names a host of its own, past the rule above
    if (!seen.path.startsWith('/') && seen.path !== '*') throw new AppError('bad_message', 'The address must be a path; this server is no proxy.', {});
    if (request.is404) throw routes.notFound(seen.path);
    checkSite(seen, rules);
    // a preflight asks for another origin's sake, can bring no key and does nothing; cors answers it
    if (seen.method === 'OPTIONS') return;
    const token = tokenOf(request);
    checkKey(seen, rules, () => isRight(presentedKeys(seen, token, COOKIE_NAME), key), request.routeOptions.config.insistsOnKey === true);
    if (seen.path === '/' && token !== undefined && key.matches(token)) return welcome(request, reply, key);
  });

  return {
    stayCheck(request) {
      const seen = accessRequestOf(request.raw);
      if (rules.open || isFromThisMachine(seen)) return () => true;
      const presented = presentedKeys(seen, tokenOf(request), COOKIE_NAME);
      return () => isRight(presented, key);
    },
  };
}

/** What the rules look at, from Node's request. */
export function accessRequestOf(raw: IncomingMessage): AccessRequest {
  const { remoteAddress = '', localAddress = '', localPort = 0 } = raw.socket;
  return { method: raw.method ?? '', path: (raw.url ?? '').split('?')[0] ?? '', headers: raw.headersDistinct, remoteAddress, localAddress, localPort };
}

function isRight({ keys, cookies }: ReturnType<typeof presentedKeys>, key: AccessKey): boolean {
  return keys.some((candidate) => key.matches(candidate)) || cookies.some((candidate) => key.matchesCookie(candidate));
}

function tokenOf(request: FastifyRequest): string | undefined {
  const { query } = request;
  const token: unknown = typeof query === 'object' && query !== null && 'token' in query ? query.token : undefined;
  return typeof token === 'string' ? token : undefined;
}

/** Moves the key from the address into a cookie: pictures and sockets of a page cannot send a header, and an address is easily shown around. */
function welcome(request: FastifyRequest, reply: FastifyReply, key: AccessKey): FastifyReply {
  const url = new URL(request.url, 'http://localhost');
  url.searchParams.delete('token');
  reply.header('set-cookie', `${COOKIE_NAME}=${key.cookieValue()}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${COOKIE_AGE_S}`);
  reply.header('cache-control', 'no-store');
  // a strict cookie does not travel along a redirect that another site's link began, but it does when our own page goes on
  if (request.headers['sec-fetch-site'] === 'cross-site') return reply.type('text/html; charset=utf-8').send(forwardPage(`/${url.search}`));
  return reply.redirect(`/${url.search}`, 303);
}
