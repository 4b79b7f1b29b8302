import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { selfSigned } from './self-signed.ts';

export const HUB_ADDRESS = '127.0.0.1';
/** The files' address after the redirect; tests treat it as a public address. */
export const CDN_ADDRESS = '127.0.0.3';
const PRIVATE_ADDRESS = '127.0.0.2';
export const HUB_TOKEN = 'hf_for_the_hub_only';

/** A wrong answer. `wait` is a 429 with Retry-After, `stall` stops in the middle without closing. */
export type Fault =
  | 'cut'
  | 'flip'
  | 'short'
  | 'long'
  | 'other-range'
  | 'other-length'
  | 'ignore-range'
  | 'range-as-200'
  | 'refuse-ranges'
  | 'gzip'
  | 'new-etag'
  | 'error-500'
  | 'error-416'
  | 'expired'
  | 'wait'
  | 'stall'
  | 'html'
  | 'to-http'
  | 'to-private'
  | 'to-name-of-private'
  | 'loop';

export interface AskedFor {
  path: string;
  /** First byte of the range, 0 without one. */
  start: number;
  /** The number of earlier answers with bytes of this file. */
  count: number;
}

export interface HubServer {
  endpoint: string;
  cert: string;
  /** Which answer is wrong, and how; null if all are right. */
  fault: (asked: AskedFor) => Fault | null;
  /** Replaces the answers of the API; `busyAnswers` is the number of next requests that get a 429 with a delay of 7 seconds. */
  api: { revision?: unknown; tree?: unknown; status?: number; errorCode?: string; busyAnswers?: number };
  /** Whether the CDN serves files after a redirect, as the real hub does for large ones. */
  redirects: boolean;
  /** Bytes per second of each answer; null for no limit. */
  bytesPerSecond: number | null;
  readonly faults: Map<Fault, number>;
  /** Body bytes passed to the system, by path. */
  readonly sentBytes: Map<string, number>;
  /** Requests that sent the token to a host that must not get it. */
  readonly leaks: string[];
  requests: number;
  close(): Promise<void>;
}

export interface Repository {
  name: string;
  commit: string;
  files: ReadonlyMap<string, Buffer>;
  license?: string;
}

/** A fake Hugging Face over TLS that can misbehave in every way that a downloader must survive. */
export async function startHubServer(repository: Repository): Promise<HubServer> {
  const { key, cert } = selfSigned([HUB_ADDRESS, CDN_ADDRESS, PRIVATE_ADDRESS]);
  const hub = createServer({ key, cert }, (request, response) => answerHub(request, response));
  const cdn = createServer({ key, cert }, (request, response) => answerCdn(request, response));
  const trap = createServer({ key, cert }, (_request, response) => response.end('private network'));
  const [hubPort, cdnPort, trapPort] = await Promise.all([listen(hub, HUB_ADDRESS), listen(cdn, CDN_ADDRESS), listen(trap, PRIVATE_ADDRESS)]);
  const etags = new Map<string, number>();
  const counts = new Map<string, number>();
  const isExpired = new Set<string>();

  const self: HubServer = {
    endpoint: `https://${HUB_ADDRESS}:${hubPort}`,
    cert,
    fault: () => null,
    api: {},
    redirects: true,
    bytesPerSecond: null,
    faults: new Map(),
    sentBytes: new Map(),
    leaks: [],
    requests: 0,
    async close() {
      for (const server of [hub, cdn, trap]) server.closeAllConnections();
      await Promise.all([hub, cdn, trap].map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };

  function answerHub(request: IncomingMessage, response: ServerResponse): void {
    self.requests++;
    const url = new URL(request.url ?? '', self.endpoint);
    const { name, commit, files, license = 'apache-2.0' } = repository;
    if (self.api.status !== undefined) {
      response.writeHead(self.api.status, self.api.errorCode === undefined ? {} : { 'x-error-code': self.api.errorCode }).end();
      return;
    }
    if (self.api.busyAnswers !== undefined && self.api.busyAnswers > 0) {
      self.api.busyAnswers--;
      response.writeHead(429, { 'retry-after': '7' }).end();
      return;
    }
    if (url.pathname === `/api/models/${name}/revision/main` || url.pathname === `/api/models/${name}/revision/${commit}`) {
      sendJson(response, self.api.revision ?? { sha: commit, cardData: { license } });
      return;
    }
    if (url.pathname === `/api/models/${name}/tree/${commit}`) {
      sendJson(response, self.api.tree ?? treeOf(files));
      return;
    }
    const resolving = `/${name}/resolve/${commit}/`;
    const path = decodeURIComponent(url.pathname.slice(resolving.length));
    const bytes = files.get(path);
    if (!url.pathname.startsWith(resolving) || bytes === undefined) {
      response.writeHead(404).end();
      return;
    }
    if (!self.redirects || bytes.length < 100_000) {
      sendFile(request, response, path, bytes);
      return;
    }
    const place = `https://${CDN_ADDRESS}:${cdnPort}/${path}?signature=${Math.random()}`;
    const fault = faultFor(path, 0, ['to-http', 'to-private', 'to-name-of-private', 'loop']);
    const location = {
      'to-http': `http://${CDN_ADDRESS}:${cdnPort}/${path}`,
      'to-private': `https://${PRIVATE_ADDRESS}:${trapPort}/${path}`,
      'to-name-of-private': `https://${hostname()}:${trapPort}/${path}`,
      loop: request.url ?? '',
    };
    response.writeHead(302, { location: fault === null ? place : (location[fault as keyof typeof location] ?? place) }).end();
  }

  function answerCdn(request: IncomingMessage, response: ServerResponse): void {
    self.requests++;
    if (request.headers.authorization !== undefined) self.leaks.push(request.url ?? '');
    const url = new URL(request.url ?? '', self.endpoint);
    const path = decodeURIComponent(url.pathname.slice(1));
    const bytes = repository.files.get(path);
    if (bytes === undefined) {
      response.writeHead(404).end();
      return;
    }
    if (isExpired.has(request.url ?? '')) {
      response.writeHead(403).end();
      return;
    }
    sendFile(request, response, path, bytes);
  }

  /** The fault for this answer if it is one of `kinds`; counts it when it happens. */
  function faultFor(path: string, start: number, kinds: readonly Fault[]): Fault | null {
    const fault = self.fault({ path, start, count: counts.get(path) ?? 0 });
    if (fault === null || !kinds.includes(fault)) return null;
    self.faults.set(fault, (self.faults.get(fault) ?? 0) + 1);
    return fault;
  }

  function sendFile(request: IncomingMessage, response: ServerResponse, path: string, bytes: Buffer): void {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const [start, end] = first === undefined ? [0, bytes.length] : [Number(first), Number(last) + 1];
    const fault = faultFor(path, start, bodyFaults);
    counts.set(path, (counts.get(path) ?? 0) + 1);
    if (fault === 'new-etag') etags.set(path, (etags.get(path) ?? 0) + 1);
    const etag = `"${path}-${etags.get(path) ?? 0}"`;
    if (fault === 'error-500') {
      response.writeHead(500).end();
      return;
    }
    if (fault === 'error-416') {
      response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
      return;
    }
    if (fault === 'wait') {
      response.writeHead(429, { 'retry-after': '1' }).end();
      return;
    }
    if (fault === 'expired') {
      isExpired.add(request.url ?? '');
      response.writeHead(403).end();
      return;
    }
    if (fault === 'html') {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Please sign in to this network</html>');
      return;
    }
    if (fault === 'refuse-ranges' && first !== undefined) {
      response.writeHead(403).end('Auth failed: invalid range');
      return;
    }
    if (fault === 'ignore-range' || first === undefined) {
      response.writeHead(200, { etag, 'content-length': bytes.length });
      write(response, path, bytes, fault === 'cut' ? Math.floor(bytes.length / 2) : null);
      return;
    }
    const shift = fault === 'other-range' ? 1 : 0;
    const total = bytes.length + (fault === 'other-length' ? 1000 : 0);
    let body = Buffer.from(bytes.subarray(start, end));
    if (fault === 'flip') body[Math.floor(body.length / 2)] = (body[Math.floor(body.length / 2)] ?? 0) ^ 0x10;
    if (fault === 'short') body = body.subarray(0, body.length - 7);
    if (fault === 'long') body = Buffer.concat([body, Buffer.from('more than was asked for')]);
    const coding = fault === 'gzip' ? { 'content-encoding': 'gzip' } : {};
    response.writeHead(fault === 'range-as-200' ? 200 : 206, {
      ...coding,
      etag,
      'content-range': `bytes ${start + shift}-${end - 1 + shift}/${total}`,
      'content-length': body.length,
    });
    if (fault === 'stall') response.write(body.subarray(0, 1000));
    else write(response, path, body, fault === 'cut' ? Math.floor(body.length / 2) : null);
  }

  function write(response: ServerResponse, path: string, body: Buffer, cutAt: number | null): void {
    const end = cutAt ?? body.length;
    const pieceBytes = self.bytesPerSecond === null ? end : Math.max(1, Math.floor(self.bytesPerSecond / 20));
    let sent = 0;
    const next = (): void => {
      if (response.destroyed) return;
      const piece = body.subarray(sent, Math.min(end, sent + pieceBytes));
      sent += piece.length;
      self.sentBytes.set(path, (self.sentBytes.get(path) ?? 0) + piece.length);
      if (sent < end) response.write(piece, () => setTimeout(next, 50));
      else if (cutAt === null) response.end(piece);
      else response.write(piece, () => response.destroy());
    };
    next();
  }

  return self;
}

const bodyFaults: readonly Fault[] = [
  'cut',
  'flip',
  'short',
  'long',
  'other-range',
  'other-length',
  'ignore-range',
  'range-as-200',
  'refuse-ranges',
  'gzip',
  'new-etag',
  'error-500',
  'error-416',
  'expired',
  'wait',
  'stall',
  'html',
];

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(typeof value === 'string' ? value : JSON.stringify(value));
}

/** As Hugging Face lists files: large ones with their SHA-256, small ones with git's hash. */
export function treeOf(files: ReadonlyMap<string, Buffer>): unknown[] {
  return [...files].map(([path, bytes]) => {
    const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
    const lfs = { oid: createHash('sha256').update(bytes).digest('hex'), size: bytes.length, pointerSize: 135 };
    return { type: 'file', path, size: bytes.length, oid, ...(bytes.length < 100_000 ? {} : { lfs }) };
  });
}

async function listen(server: Server, address: string): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return (server.address() as AddressInfo).port;
}
