import { randomBytes } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Jobs } from '#main/jobs/jobs.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { App } from '../fastify-app.ts';
import { sendFile } from '../send-content.ts';

const KEEP_MS = 3_600_000;
const MAX_LINKS = 10_000;
const hostPattern = /^(?:\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::\d{1,5})?$/i;

/** Addresses of images that open without headers for one hour, since a plain download or an `<img>` sends none. */
export class ImageLinks {
  readonly #links = new Map<string, { filename: string; endsMs: number }>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** An address as the client that asks sees this server. */
  create(request: FastifyRequest, filename: string): string {
    const token = randomBytes(24).toString('base64url');
    this.#links.set(token, { filename, endsMs: this.#nowMs() + KEEP_MS });
    if (this.#links.size > MAX_LINKS) this.#links.delete(this.#links.keys().next().value ?? '');
    return `${originOf(request)}/v1/images/links/${token}.png`;
  }

  /** Null for an unknown token, or one that has ended. */
  filename(token: string): string | null {
    const link = this.#links.get(token);
    return link === undefined || link.endsMs < this.#nowMs() ? null : link.filename;
  }
}

/** From the Host that the client asked. A request with forwarding headers has brought the key, or the server is open, so they are believed. */
export function originOf({ headers }: FastifyRequest): string {
  const first = (value: string | string[] | undefined): string =>
    String(value ?? '')
      .split(',')[0]
      ?.trim() ?? '';
  const [proto, forwardedHost] = [first(headers['x-forwarded-proto']).toLowerCase(), first(headers['x-forwarded-host'])];
  const host = hostPattern.test(forwardedHost) ? forwardedHost : first(headers.host);
  return `${proto === 'https' ? 'https' : 'http'}://${host}`;
}

export function registerImageLinks(app: App, jobs: Jobs, links: ImageLinks): void {
  const schema = {
    tags: ['openai'],
    summary: 'An image by a link that the images calls gave out; it needs no key and ends after an hour',
    params: z.object({ file: z.string().regex(/^[\w-]{32}\.png$/) }),
  };
  app.get('/v1/images/links/:file', { schema, config: { opensByLink: true } }, async (request, reply) => {
    const filename = links.filename(request.params.file.slice(0, -'.png'.length));
    const path = filename === null ? null : await jobs.imageFile(filename);
    if (path === null) throw new AppError('unknown_image', 'This link is unknown or has ended; links open for one hour.', {});
    // pages of other programs show it
    reply.headers({ 'cross-origin-resource-policy': 'cross-origin', 'cache-control': 'private, max-age=3600' });
    return sendFile(request, reply, path, 'image/png');
  });
}
