import { isIP } from 'node:net';
import { AppError, appError } from '#shared/protocol/errors.ts';

/**
 * Who may call: pure functions over what a request shows of itself. The order of the checks, cheapest first, is that of `assertOneHost`
 * and `checkHost`, then the router's method and path, then `checkSite`, then `checkKey`; `access-hook.ts` runs them for HTTP and, before its 101, for the WebSocket.
 */

export interface AccessRules {
  /** Lifts the key for other machines where a route does not insist on it. */
  open: boolean;
  /** Lower-case host names beside IP literals, `localhost` and `ownName`. */
  allowHosts: readonly string[];
  /** Origins beside our own. */
  allowOrigins: readonly string[];
  /** This machine's host name, lower case. */
  ownName: string;
}

/** The parts of a request that the rules look at. Header names are lower case; a header that came twice has several values. */
export interface AccessRequest {
  method: string;
  /** Without the query. */
  path: string;
  headers: Readonly<Record<string, readonly string[] | undefined>>;
  remoteAddress: string;
  localAddress: string;
  localPort: number;
}

/** Throws `bad_message` for a request without exactly one Host, which two programs could read in two ways. Source: RFC 9112, section 3.2. */
export function assertOneHost(request: AccessRequest): void {
  const values = request.headers['host'] ?? [];
  if (values.length !== 1) throw new AppError('bad_message', `The Host header is ${shown(values)}; it must be there once.`, {});
}

/** Throws `forbidden_host`. A page that made its own name resolve to this machine shows that name here. */
export function checkHost(request: AccessRequest, rules: AccessRules): void {
  const values = request.headers['host'] ?? [];
  const name = values.length === 1 ? parseHost(values[0] ?? '')?.name : undefined;
  if (name !== undefined && (isIpLiteral(name) || name === 'localhost' || name === rules.ownName || rules.allowHosts.includes(name))) return;
  throw new AppError(
    'forbidden_host',
    `The Host header is ${shown(values)}; this server answers to IP addresses, localhost, ${rules.ownName} and what --allow-host names.`,
    {},
  );
}

/**
 * Throws `forbidden_origin` or `forbidden_site`. Only browsers send these headers: without them it is a script, which no foreign page can steer.
 * Expects that `checkHost` has passed.
 */
export function checkSite(request: AccessRequest, rules: AccessRules): void {
  const origins = request.headers['origin'];
  if (origins !== undefined) {
    if (origins.length === 1 && isAllowedOrigin(origins[0] ?? '', request, rules)) return;
    throw new AppError(
      'forbidden_origin',
      `The page that asks has the origin ${shown(origins)}; allowed are this server's own pages and what --allow-origin names.`,
      {},
    );
  }
  const sites = request.headers['sec-fetch-site'];
  if (sites === undefined || !sites.includes('cross-site')) return;
  const isNavigation = single(request, 'sec-fetch-mode') === 'navigate' && single(request, 'sec-fetch-dest') === 'document';
  if (isNavigation && request.path === '/' && (request.method === 'GET' || request.method === 'HEAD')) return;
  throw new AppError('forbidden_site', 'Another web site asks for this; from outside only the start page may be opened, as a page of its own.', {});
}

/**
 * Throws `access_key_required` where a request from another machine brings no right key.
 * @param insists True for what even `--open` does not give to other machines: settings, downloads, deletes.
 */
export function checkKey(request: AccessRequest, rules: AccessRules, hasKey: () => boolean, insists: boolean): void {
  if (isFromThisMachine(request) || (rules.open && !insists) || hasKey()) return;
  throw appError('access_key_required', {});
}

/** A proxy on this machine speaks for others, so whatever says that it was forwarded is not from here. */
export function isFromThisMachine(request: AccessRequest): boolean {
  for (const name of Object.keys(request.headers)) if (name === 'forwarded' || name.startsWith('x-forwarded-')) return false;
  const remote = plainAddress(request.remoteAddress);
  return isLoopback(remote) || (remote !== '' && remote === plainAddress(request.localAddress));
}

/** True for an origin that is not ours but was listed: it gets CORS headers. */
function isListedOrigin(origin: string, rules: AccessRules): boolean {
  return rules.allowOrigins.includes(origin);
}

/** The key that a request brings, from the three places where one may stand. `token` is the query's. */
export function presentedKeys(request: AccessRequest, token: unknown, cookieName: string): { keys: string[]; cookies: string[] } {
  const bearer = /^bearer +([^\s]+)$/i.exec(single(request, 'authorization') ?? '')?.[1];
  const keys = [bearer, typeof token === 'string' ? token : undefined].filter((key) => key !== undefined);
  const cookies = (request.headers['cookie'] ?? [])
    .flatMap((line) => line.split(';'))
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${cookieName}=`))
    .map((pair) => pair.slice(cookieName.length + 1));
  return { keys, cookies };
}

function isAllowedOrigin(origin: string, request: AccessRequest, rules: AccessRules): boolean {
  if (isListedOrigin(origin, rules)) return true;
  // the text must be just what a browser writes: no path, no user, lower case
  if (!origin.startsWith('http://') || !URL.canParse(origin) || new URL(origin).origin !== origin) return false;
  const page = parseHost(origin.slice('http://'.length));
  const host = parseHost(single(request, 'host') ?? '');
  if (page === null || host === null) return false;
  if (page.name === host.name && page.port === host.port) return true;
  // our own page opened under another of this machine's loopback names
  return isLoopbackName(page.name) && isLoopbackName(host.name) && page.port === host.port && page.port === request.localPort;
}

/** `[::1]:8004` as name `::1` and port 8004; without a port it is 80. Null for what is no host. */
function parseHost(text: string): { name: string; port: number } | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::(\d{1,5}))?$/i.exec(text);
  if (match === null) return null;
  const [, inBrackets, plain, port] = match;
  if (inBrackets !== undefined && isIP(inBrackets) !== 6) return null;
  return { name: (inBrackets ?? plain ?? '').toLowerCase(), port: port === undefined ? 80 : Number(port) };
}

function isIpLiteral(name: string): boolean {
  return isIP(name) !== 0;
}

function isLoopbackName(name: string): boolean {
  return name === 'localhost' || (isIpLiteral(name) && isLoopback(name));
}

/** True for an address that only this machine reaches. */
export function isLoopback(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}

/** What limits count as one address: an IPv6 host may take any address of its /64, so that is counted. */
export function addressGroup(address: string): string {
  const plain = plainAddress(address);
  if (isIP(plain) !== 6) return plain;
  // as the kernel writes it: one run of zeros at most is left out
  const [before = [], after = []] = plain.split('::').map((part) => part.split(':').filter((group) => group !== ''));
  const zeros = Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  return [...before, ...zeros, ...after].slice(0, 4).join(':');
}

/** IPv4 as a dual-stack socket shows it (`::ffff:10.0.0.1`) is IPv4. */
function plainAddress(address: string): string {
  return address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
}

function single(request: AccessRequest, name: string): string | undefined {
  const values = request.headers[name];
  return values?.length === 1 ? values[0] : undefined;
}

function shown(values: readonly string[]): string {
  if (values.length === 0) return 'missing';
  return values.map((value) => JSON.stringify(value.slice(0, 100))).join(' and ');
}
