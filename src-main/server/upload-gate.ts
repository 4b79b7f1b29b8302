import { totalmem } from 'node:os';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { appError } from '#shared/protocol/errors.ts';
import { limitedAddress } from './access/access-hook.ts';

export interface UploadLimits {
  /** Bytes of all uploads together, which are in memory until they are decoded. */
  totalBytes: number;
  /** Uploads at once from one address of another machine. */
  perAddress: number;
}

export interface UploadGate {
  /** Reserves memory for an upload of `sizeBytes`. Returns how to give it back, or null where there is no room. `address` is null for this machine. */
  enter(address: string | null, sizeBytes: number): (() => void) | null;
}

export const MAX_UPLOAD_BYTES = 128 * 1024 * 1024;

/** An eighth of the memory, but at least one upload of the largest size. */
export const defaultUploadLimits: UploadLimits = { totalBytes: Math.max(MAX_UPLOAD_BYTES, Math.min(4 * MAX_UPLOAD_BYTES, totalmem() / 8)), perAddress: 2 };

/** Keeps a few clients from filling the memory with uploads. */
export function createUploadGate({ totalBytes, perAddress }: UploadLimits): UploadGate {
  const fromAddress = new Map<string, number>();
  let reserved = 0;

  return {
    enter(address, sizeBytes) {
      const open = address === null ? 0 : (fromAddress.get(address) ?? 0);
      if (reserved + sizeBytes > totalBytes || open >= perAddress) return null;
      reserved += sizeBytes;
      if (address !== null) fromAddress.set(address, open + 1);
      let isInside = true;
      return () => {
        if (!isInside) return;
        isInside = false;
        reserved -= sizeBytes;
        if (address === null) return;
        const left = (fromAddress.get(address) ?? 1) - 1;
        if (left === 0) fromAddress.delete(address);
        else fromAddress.set(address, left);
      };
    },
  };
}

const RETRY_AFTER_MS = 2000;

const places = new WeakMap<FastifyRequest, () => void>();

/** The hook of a route with large bodies: each takes its place before it is received. Throws `too_many_uploads`. */
export function uploadPlace(gate: UploadGate, maxBytes: number) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const sizeBytes = Math.min(Number(request.headers['content-length'] ?? maxBytes), maxBytes);
    const leave = gate.enter(limitedAddress(request), sizeBytes);
    if (leave === null) throw appError('too_many_uploads', { retryAfterMs: RETRY_AFTER_MS });
    places.set(request, leave);
    reply.raw.once('close', leave);
  };
}

/** For a handler that waits for long after it has decoded the body: lets go of the body and gives its place to others. */
export function leaveUploadPlace(request: FastifyRequest): void {
  request.body = undefined;
  places.get(request)?.();
}
