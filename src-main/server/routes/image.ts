import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { Readable } from 'node:stream';
import { z } from 'zod';
import type { Images } from '#main/images/images.ts';
import { originalFileName } from '#main/jobs/images/file-name.ts';
import type { Jobs } from '#main/jobs/jobs.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { readRecipe } from '#main/provenance/read-recipe.ts';
import type { Recipe } from '#shared/domain/recipe.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { type ExportMetadata, imageQuerySchema, type Receipt, receiptSchema, THUMBNAIL_WIDTHS } from '#shared/protocol/http.ts';
import { accessRequestOf } from '../access/access-hook.ts';
import { type AccessRules, isImageOfListedOrigin } from '../access/access-rules.ts';
import { type App, errorAnswers } from '../fastify-app.ts';
import { type ByteRange, sendContent, sendFile } from '../send-content.ts';
import type { Thumbnails } from '../thumbnails.ts';

/** The content of a name never changes, but the image may be moved to the bin: browsers keep it for a day. */
const KEEP_S = 24 * 3600;

/** What the name of a copy says about metadata that it lacks. */
const nameEnds: Record<ExportMetadata, string> = { all: '', marks: '-no-prompt', none: '-no-metadata' };

const schema = {
  tags: ['pictures'],
  summary: 'An image, a smaller WebP of it (?w=), or a copy as PNG, JPEG or WebP with all, some or no metadata (?format=, ?quality=, ?metadata=)',
  params: z.object({ filename: z.string() }),
  querystring: imageQuerySchema,
  response: {
    200: {
      description: 'The image',
      content: { 'image/png': { schema: z.string() }, 'image/webp': { schema: z.string() }, 'image/jpeg': { schema: z.string() } },
    },
    ...errorAnswers,
  },
};

const binnedSchema = {
  ...schema,
  summary: 'A smaller version of an image in the bin',
  querystring: z.object({ w: z.union(THUMBNAIL_WIDTHS.map((width) => z.literal(width))) }),
};

const receiptOf = {
  tags: ['pictures'],
  summary: 'The receipt of an image: its recipe, what computed it, the hash of its pixels, and the original of an upscaled one',
  params: z.object({ filename: z.string() }),
  response: { 200: receiptSchema, ...errorAnswers },
};

interface Parts {
  jobs: Jobs;
  thumbnails: Thumbnails;
  images: Images;
  rules: AccessRules;
}

export function registerImage(app: App, { jobs, thumbnails, images, rules }: Parts): void {
  app.get('/api/image/:filename', { schema }, async (request, reply) => {
    const { filename } = request.params;
    const image = await jobs.imageFile(filename);
    if (image === null) throw unknownImage(filename);
    if (rules.allowOrigins.length > 0) {
      // a page of a listed origin may show images by <img>, which sends no Origin
      reply.header('vary', 'Origin, Referer');
      if (isImageOfListedOrigin(accessRequestOf(request.raw), rules)) reply.header('cross-origin-resource-policy', 'cross-origin');
    }
    const { w, format = 'png', quality, metadata } = request.query;
    if (w === undefined && (format !== 'png' || metadata !== 'all')) {
      const bytes = await images.export({ path: image, format, quality, metadata, isMarked: jobs.settings().mark_images });
      const name = filename.replace(/\.png$/, `${nameEnds[metadata]}.${format === 'jpeg' ? 'jpg' : format}`);
      reply.headers({ 'content-disposition': contentDisposition(name), 'cache-control': 'no-store' });
      const { mtimeMs: modifiedMs } = await stat(image);
      const read = ({ start, end }: ByteRange) => Readable.from([bytes.subarray(start, end + 1)]);
      return sendContent(request, reply, { type: `image/${format}`, sizeBytes: bytes.length, modifiedMs, read });
    }
    const path = w === undefined ? image : await thumbnails.file(image, w);
    reply.header('content-disposition', contentDisposition(path === image ? filename : filename.replace(/\.png$/, '.webp')));
    reply.header('cache-control', `private, max-age=${KEEP_S}`);
    return sendFile(request, reply, path, typeOf(path));
  });

  app.get('/api/images/:filename/receipt', { schema: receiptOf }, async ({ params: { filename } }) => {
    const path = await jobs.imageFile(filename);
    if (path === null) throw unknownImage(filename);
    const recipe = await readRecipe(path);
    if (recipe === null) throw new AppError('picture_damaged', `The image ${quoteValue(filename)} has no recipe that this version reads.`, {});
    return { filename, recipe, original: recipe.role === 'upscaled' ? await originalOf(filename, recipe) : null };
  });

  /** The original may be gone; what the upscaled image records of it stays. */
  async function originalOf(upscaled: string, { original_sha256 }: Recipe): Promise<Receipt['original']> {
    const filename = originalFileName(upscaled) ?? upscaled;
    const path = await jobs.imageFile(filename);
    const hash = path === null || original_sha256 === null ? null : await images.inspect({ path }).then(({ pixelsSha256 }) => pixelsSha256);
    return { filename, pixels_sha256: original_sha256, is_unchanged: hash === null ? null : hash === original_sha256 };
  }

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

function unknownImage(filename: string): AppError<'unknown_image'> {
  return new AppError('unknown_image', `There is no image ${quoteValue(filename)}; job_status has the names.`, {});
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
