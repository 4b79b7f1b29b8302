import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';

/** The same for all requests of one program: by the key or user that it sends, else by its address. Hashed, since it is stored and logged. */
export function callerOf(request: FastifyRequest): string {
  return createHash('sha256')
    .update(request.headers.authorization || request.ip)
    .digest('hex')
    .slice(0, 16);
}
