import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Images } from '#main/images/images.ts';
import type { PngText } from '#main/lib/png.ts';
import { RECIPE_KEYWORD, type Recipe, recipeSchema } from '#shared/domain/recipe.ts';
import { appError } from '#shared/protocol/errors.ts';
import { uploadSchema } from '#shared/protocol/http.ts';
import { limitedAddress } from '../access/access-hook.ts';
import { type App, errorAnswers } from '../fastify-app.ts';
import { MAX_UPLOAD_BYTES, type UploadGate } from '../upload-gate.ts';

const RETRY_AFTER_MS = 2000;

/** Takes an image and answers its size, its texts and our recipe if it has one. The file is not kept. */
export async function registerUploads(app: App, images: Images, gate: UploadGate): Promise<void> {
  // a scope of its own: no other route may take images as a body
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(/^image\/[a-z0-9.+-]+(;|$)/i, { parseAs: 'buffer', bodyLimit: MAX_UPLOAD_BYTES }, (_request, body, done) => done(null, body));
    const onRequest = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
      const sizeBytes = Math.min(Number(request.headers['content-length'] ?? MAX_UPLOAD_BYTES), MAX_UPLOAD_BYTES);
      const leave = gate.enter(limitedAddress(request), sizeBytes);
      if (leave === null) throw appError('too_many_uploads', { retryAfterMs: RETRY_AFTER_MS });
      reply.raw.once('close', leave);
    };
    const schema = {
      tags: ['pictures'],
      summary: 'Read the recipe of an image; the body is the file, its content type image/*',
      consumes: ['image/*'],
      body: z.instanceof(Buffer),
      response: { 200: uploadSchema, ...errorAnswers },
    };
    scope.withTypeProvider<ZodTypeProvider>().put('/api/uploads', { schema, bodyLimit: MAX_UPLOAD_BYTES, onRequest }, async (request) => {
      const { format, width, height, notices, texts } = await images.describe(request.body);
      return { format, width, height, notices, texts: texts.map(({ keyword, text }) => ({ keyword, text })), recipe: recipeOf(texts) };
    });
  });
}

/** Null if there is no recipe, or one that is not as we write it. */
function recipeOf(texts: readonly PngText[]): Recipe | null {
  const text = texts.find(({ keyword }) => keyword === RECIPE_KEYWORD)?.text;
  if (text === undefined) return null;
  try {
    return recipeSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
