import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { BrokenRequests } from './broken-request.ts';

/** How long a request's body may take. A slow line may use the time that its size allows; one that stands still may not. */
export interface BodyLimits {
  /** Without a byte. */
  silenceMs: number;
  /** For any body, and in addition for its size at `bytesPerSecond`. */
  totalMs: number;
  bytesPerSecond: number;
}

export const defaultBodyLimits: BodyLimits = { silenceMs: 30_000, totalMs: 30_000, bytesPerSecond: 8192 };

/** A client that was answered early and still sends gets this long to read the answer. Closing at once would discard it. */
const LINGER_MS = 10_000;
const MAX_CHECK_MS = 1000;

/** Answers 408 to a request whose body is too slow. */
export function registerBodyLimits(app: FastifyInstance, limits: BodyLimits, brokenRequests: BrokenRequests): void {
  const checkMs = Math.min(MAX_CHECK_MS, limits.silenceMs / 4);

  app.addHook('preParsing', async (request) => {
    const { raw } = request;
    const bodyLimit = request.routeOptions.bodyLimit ?? 0;
    const sizeBytes = Math.min(Number(raw.headers['content-length'] ?? bodyLimit), bodyLimit);
    const startedMs = performance.now();
    const totalMs = limits.totalMs + (sizeBytes / limits.bytesPerSecond) * 1000;
    let received = raw.socket.bytesRead;
    let receivedAtMs = startedMs;
    const timer = setInterval(() => {
      const now = performance.now();
      if (raw.complete) clearInterval(timer);
      else if (raw.socket.bytesRead > received) [received, receivedAtMs] = [raw.socket.bytesRead, now];
      if (raw.complete || (now - receivedAtMs < limits.silenceMs && now - startedMs < totalMs)) return;
      clearInterval(timer);
      brokenRequests.giveUp(raw);
    }, checkMs);
    raw.once('close', () => clearInterval(timer));
  });

  // not a hook of fastify: none runs for an address that cannot be decoded
  app.server.on('request', (request, response) => response.once('finish', () => discardRest(request)));
}

/** Reads what the client still sends of an answered request, for a while, without keeping it; then closes the connection if the client asked for that. */
export function discardRest(request: IncomingMessage): void {
  if (request.destroyed) return;
  const end = (): void => {
    if (request.headers.connection?.toLowerCase() === 'close') request.socket.end();
  };
  if (request.complete) {
    end();
    return;
  }
  request.resume();
  const deadline = setTimeout(() => request.socket.destroy(), LINGER_MS);
  deadline.unref();
  request.once('end', end);
  request.once('close', () => clearTimeout(deadline));
}
