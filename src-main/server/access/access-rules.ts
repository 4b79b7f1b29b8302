import { isIP } from 'node:net';
import { AppError, appError } from '#shared/protocol/errors.ts';

/**
 * Who may call, as pure functions over a request. Order of the checks, cheapest first: `assertOneHost`, `checkHost`, then the router's method and
 * path, `checkSite`, `checkKey`. `access-hook.ts` runs them for HTTP and, before its 101, for the WebSocket.
 */

export interface AccessRules {
  /** Other machines need no key, except for routes that insist on it. */
  open: boolean;
  /** This machine needs the key too: it has several users, or a proxy that adds no header is in front. */
  requireKey: boolean;
  /** Lower-case host names, beside IP literals, `localhost` and this machine's names. */
  allowHosts: readonly string[];
  /** Origins beside our own. */
  allowOrigins: readonly string[];
  /** This machine's host name now; it may change while the server runs. */
  hostName: () => string;
}

/** The parts of a request that the rules look at. Header names are lower case; a repeated header has several values. */
export interface AccessRequest {
  method: string;
  /** Without the query. */
  path: string;
  headers: Readonly<Record<string, readonly string[] | undefined>>;
  remoteAddress: string;
  localAddress: string;
  localPort: number;
}

/** Pages that a link on another site may open. */
export const pagePaths: readonly string[] = ['/', '/docs', '/docs/websocket'];
const IMAGE_PATH = '/api/image/';

/** Throws `bad_message` unless there is exactly one Host: programs disagree on what several mean. Source: RFC 9112, section 3.2. */
export function assertOneHost(request: AccessRequest): void {
  const values = request.headers['host'] ?? [];
  if (values.length !== 1) throw new AppError('bad_message', `The Host header is ${quoteAll(values)}; it must be there once.`, {});
}

/** Throws `forbidden_host`: a page whose own name was made to resolve to this machine sends that name here. */
export function checkHost(request: AccessRequest, rules: AccessRules): void {
  const values = request.headers['host'] ?? [];
  const name = values.length === 1 ? parseHost(values[0] ?? '')?.name : undefined;
  if (name !== undefined && (isIP(name) !== 0 || name === 'localhost' || isOwnName(name, rules) || rules.allowHosts.includes(name))) return;
  const message = `The Host header is ${quoteAll(values)}; allowed are IP addresses, localhost, ${rules.hostName()} and the names given by --allow-host.`;
  throw new AppError('forbidden_host', message, {});
}

/**
 * Throws `forbidden_origin` or `forbidden_site`. Only browsers send these headers; a request without them comes from a program, which no foreign page
 * controls. Expects that `checkHost` has passed.
 */
export function checkSite(request: AccessRequest, rules: AccessRules): void {
  const origins = request.headers['origin'];
  if (origins !== undefined) {
    if (origins.length === 1 && isAllowedOrigin(origins[0] ?? '', request, rules)) return;
    const message = `The page has the origin ${quoteAll(origins)}; allowed are this server's own pages and the origins given by --allow-origin.`;
    throw new AppError('forbidden_origin', message, {});
  }
  const sites = request.headers['sec-fetch-site'];
  if (sites === undefined || !sites.includes('cross-site') || isImageOfListedOrigin(request, rules)) return;
  const isNavigation = single(request, 'sec-fetch-mode') === 'navigate' && single(request, 'sec-fetch-dest') === 'document';
  if (isNavigation && pagePaths.includes(request.path) && isRead(request)) return;
  throw new AppError('forbidden_site', 'Another web site asks for this. Other sites may only link to the start page and to /docs.', {});
}

/** An `<img>` sends no Origin. The Referer, which no page can forge for another one, shows that its page has a listed origin. */
export function isImageOfListedOrigin(request: AccessRequest, rules: AccessRules): boolean {
  const referer = single(request, 'referer');
  if (referer === undefined || !URL.canParse(referer) || !rules.allowOrigins.includes(new URL(referer).origin)) return false;
  const destination = single(request, 'sec-fetch-dest');
  return request.path.startsWith(IMAGE_PATH) && isRead(request) && (destination === undefined || destination === 'image');
}

/**
 * Throws `access_key_required` for a request that needs the key and does not have it.
 * @param insists True for what even `--open` does not give to other machines: settings, downloads, deletes.
 */
export function checkKey(request: AccessRequest, rules: AccessRules, hasKey: () => boolean, insists: boolean): void {
  if (isTrusted(request, rules) || (rules.open && !insists) || hasKey()) return;
  throw appError('access_key_required', {});
}

/** Whether the request needs no key, because it comes from this machine. */
export function isTrusted(request: AccessRequest, rules: AccessRules): boolean {
  return !rules.requireKey && isFromThisMachine(request);
}

/** Names by which proxies, tunnels and content networks say for whom they forward. */
const forwardingHeader = new RegExp(
  [
    '^(via|cdn-loop|proxy-connection|surrogate-capability)$',
    'forwarded',
    '(^|-)(real|client|true|remote|connecting|cluster|source|orig(inal|in|inating)?|proxy(user)?|external|user)-?(client-)?(ip|addr|address|host|port|proto|url|uri)s?$',
    '^x-(original|envoy|azure|appengine|amzn|amz-cf|arr|proxy|rewrite|vercel|nf|railway|cloud-trace)-',
    '^x-(host|scheme|url-scheme|ssl|https|proto|vercel-id)$',
    '^(cf|fly|fastly|tailscale|ngrok|akamai|incap|cloudfront|ali|true-client|front-end-https|wl-proxy|ssl-client)(-|$)',
  ].join('|'),
);

/** A proxy on this machine forwards for others, so a request with any forwarding header does not count as from here. */
export function isFromThisMachine(request: AccessRequest): boolean {
  if (Object.keys(request.headers).some((name) => forwardingHeader.test(name))) return false;
  const remote = plainAddress(request.remoteAddress);
  return isLoopback(remote) || (remote !== '' && remote === plainAddress(request.localAddress));
}

/**
 * A sign that a proxy or tunnel without forwarding headers is in front: a request over loopback for another port or host than this server's.
 * Null without one. Everybody behind such a proxy counts as this machine.
 */
export function signOfProxy(request: AccessRequest, rules: AccessRules): string | null {
  const text = single(request, 'host') ?? '';
  const host = parseHost(text);
  if (host === null || !isFromThisMachine(request) || !isLoopback(plainAddress(request.remoteAddress))) return null;
  const isOurs = isLoopbackName(host.name) || isOwnName(host.name, rules);
  // hand-made requests often leave the port out
  return isOurs && (host.port === request.localPort || !host.hasPort) ? null : text;
}

export interface PresentedKeys {
  keys: string[];
  cookies: string[];
}

/** The keys and cookies that a request presents. `token` is the query's. */
export function presentedKeys(request: AccessRequest, token: unknown, cookieName: string): PresentedKeys {
  const keys = [...authorizationKeys(request), ...(typeof token === 'string' ? [token] : [])];
  const cookies = (request.headers['cookie'] ?? [])
    .flatMap((line) => line.split(';'))
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${cookieName}=`))
    .map((pair) => pair.slice(cookieName.length + 1));
  return { keys, cookies };
}

/** The key of `Authorization`: `Bearer KEY`, or Basic with any user and the key as its password. */
export function authorizationKeys(request: AccessRequest): string[] {
  const [, scheme = '', credentials = ''] = /^(bearer|basic) +([^\s]+)$/i.exec(single(request, 'authorization') ?? '') ?? [];
  if (scheme.toLowerCase() === 'bearer') return [credentials];
  const [, password] = /^[^:]*:(.+)$/s.exec(Buffer.from(credentials, 'base64').toString('utf8')) ?? [];
  return password === undefined ? [] : [password];
}

function isAllowedOrigin(origin: string, request: AccessRequest, rules: AccessRules): boolean {
  if (rules.allowOrigins.includes(origin)) return true;
  // exactly what a browser writes: no path, no user, lower case
  if (!origin.startsWith('http://') || !URL.canParse(origin) || new URL(origin).origin !== origin) return false;
  const page = parseHost(origin.slice('http://'.length));
  const host = parseHost(single(request, 'host') ?? '');
  if (page === null || host === null) return false;
  if (page.name === host.name && page.port === host.port) return true;
  // our own page, opened under another loopback name of this machine
  return isLoopbackName(page.name) && isLoopbackName(host.name) && page.port === host.port && page.port === request.localPort;
}

/**
 * `[::1]:8004` has the name `::1` and the port 8004; the default port is 80. Null for text that is not a host.
 * A dot at the end of a name means the same name.
 */
function parseHost(text: string): { name: string; port: number; hasPort: boolean } | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+?)\.?)(?::(\d{0,5}))?$/i.exec(text);
  if (match === null) return null;
  const [, inBrackets, plain = '', port = ''] = match;
  if (inBrackets !== undefined && isIP(inBrackets) !== 6) return null;
  const name = (inBrackets ?? plain).toLowerCase();
  return {
    name: shortIpv4.test(name) && URL.canParse(`http://${name}`) ? new URL(`http://${name}`).hostname : name,
    port: port === '' ? 80 : Number(port),
    hasPort: port !== '',
  };
}

/** `127.1` and `0`, which every client takes for an IPv4 address. */
const shortIpv4 = /^(0|[1-9]\d{0,2}(\.(0|[1-9]\d{0,2})){1,2})$/;

/** The full host name, or its first label. */
function isOwnName(name: string, { hostName }: AccessRules): boolean {
  const own = hostName().toLowerCase();
  return name === own || name === own.split('.')[0];
}

function isRead({ method }: AccessRequest): boolean {
  return method === 'GET' || method === 'HEAD';
}

function isLoopbackName(name: string): boolean {
  return name === 'localhost' || isLoopback(name);
}

/** Whether only this machine reaches the address. */
export function isLoopback(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}

/** What limits count as one address. An IPv6 host may use any address of its /64. */
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

function quoteAll(values: readonly string[]): string {
  if (values.length === 0) return 'missing';
  return values.map((value) => JSON.stringify(value.slice(0, 100))).join(' and ');
}
