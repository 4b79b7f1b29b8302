import { extname } from 'node:path';
import { z } from 'zod';
import type { Jobs } from '#main/jobs/jobs.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { imageQuerySchema, THUMBNAIL_WIDTHS } from '#shared/protocol/http.ts';
import { accessRequestOf } from '../access/access-hook.ts';
import { type AccessRules, isImageOfListedOrigin } from '../access/access-rules.ts';
import { type App, errorAnswers } from '../fastify-app.ts';
import { sendFile } from '../send-content.ts';
import type { Thumbnails } from '../thumbnails.ts';

/** The content of a name never changes, but the image may be moved to the bin: browsers keep it for a day. */
const KEEP_S = 24 * 3600;

const schema = {
  tags: ['pictures'],
  summary: 'An image, or with ?w= a smaller WebP of it',
  params: z.object({ filename: z.string() }),
  querystring: imageQuerySchema,
  response: {
    200: { description: 'The image', content: { 'image/png': { schema: z.string() }, 'image/webp': { schema: z.string() } } },
    ...errorAnswers,
  },
};

const binnedSchema = {
  ...schema,
  summary: 'A smaller version of an image in the bin',
  querystring: z.object({ w: z.union(THUMBNAIL_WIDTHS.map((width) => z.literal(width))) }),
};

export function registerImage(app: App, jobs: Jobs, thumbnails: Thumbnails, rules: AccessRules): void {
  app.get('/api/image/:filename', { schema }, async (request, reply) => {
    const { filename } = request.params;
    const image = await jobs.imageFile(filename);
    if (image === null) {
      throw new AppError('unknown_image', `There is no image ${quoteValue(filename)}; job_status has the names.`, {});
    }
    const { w } = request.query;
    const path = w === undefined ? image : await thumbnails.file(image, w);
    reply.header('content-disposition', contentDisposition(path === image ? filename : filename.replace(/\.png$/, '.webp')));
    if (rules.allowOrigins.length > 0) {
      // a page of a listed origin may show images by <img>, which sends no Origin
      reply.header('vary', 'Origin, Referer');
      if (isImageOfListedOrigin(accessRequestOf(request.raw), rules)) reply.header('cross-origin-resource-policy', 'cross-origin');
    }
    reply.header('cache-control', `private, max-age=${KEEP_S}`);
    return sendFile(request, reply, path, typeOf(path));
  });

  app.get('/api/bin/image/:filename', { schema: binnedSchema }, async (request, reply) => {
    const { filename } = request.params;
    const image = await jobs.binnedImageFile(filename);
    if (image === null) throw new AppError('unknown_image', `There is no image ${quoteValue(filename)} in the bin.`, {});
    const path = await thumbnails.file(image, request.query.w);
    // a restored or deleted image must not be shown from a cache
    reply.header('cache-control', 'no-store');
    return sendFile(request, reply, path, typeOf(path));
  });
}

function typeOf(path: string): string {
  return extname(path) === '.webp' ? 'image/webp' : 'image/png';
}

/** Shown in the page, saved under its own name. Source of both forms: https://www.rfc-editor.org/rfc/rfc6266#section-4.3 */
function contentDisposition(filename: string): string {
  const plain = filename.replaceAll(/[^\w.-]/g, '_');
  const encoded = encodeURIComponent(filename).replaceAll(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  return plain === filename ? `inline; filename="${plain}"` : `inline; filename="${plain}"; filename*=UTF-8''${encoded}`;
}
