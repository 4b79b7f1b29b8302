import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Images } from '#main/images/images.ts';
import type { PngText } from '#main/lib/png.ts';
import { RECIPE_KEYWORD, type Recipe, recipeSchema } from '#shared/domain/recipe.ts';
import { uploadSchema } from '#shared/protocol/http.ts';
import { type App, errorAnswers } from '../fastify-app.ts';

export const MAX_UPLOAD_BYTES = 128 * 1024 * 1024;

/** Takes a picture and tells its size, its texts and our recipe where it holds one. Nothing is kept. */
export async function registerUploads(app: App, images: Images): Promise<void> {
  // the parser for pictures must not be there for other routes, so they stand in a scope of their own
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(/^image\/[a-z0-9.+-]+(;|$)/i, { parseAs: 'buffer', bodyLimit: MAX_UPLOAD_BYTES }, (_request, body, done) => done(null, body));
    const schema = {
      tags: ['pictures'],
      summary: 'Reads the recipe out of a picture; the body is the file, its content type image/*',
      consumes: ['image/*'],
      body: z.instanceof(Buffer),
      response: { 200: uploadSchema, ...errorAnswers },
    };
    scope.withTypeProvider<ZodTypeProvider>().put('/api/uploads', { schema, bodyLimit: MAX_UPLOAD_BYTES }, async (request) => {
      const { format, width, height, texts } = await images.describe(request.body);
      return { format, width, height, texts: texts.map(({ keyword, text }) => ({ keyword, text })), recipe: recipeOf(texts) };
    });
  });
}

/** Null where there is none, or one that is not as we write it. */
function recipeOf(texts: readonly PngText[]): Recipe | null {
  const text = texts.find(({ keyword }) => keyword === RECIPE_KEYWORD)?.text;
  if (text === undefined) return null;
  try {
    return recipeSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
