import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Images } from '#main/images/images.ts';
import type { PngText } from '#main/lib/png.ts';
import { RECIPE_KEYWORD, type Recipe, recipeSchema } from '#shared/domain/recipe.ts';
import { uploadSchema } from '#shared/protocol/http.ts';
import { type App, errorAnswers } from '../fastify-app.ts';
import { MAX_UPLOAD_BYTES, type UploadGate, uploadPlace } from '../upload-gate.ts';

/** Takes an image and answers its size, its texts and our recipe if it has one. The file is not kept. */
export async function registerUploads(app: App, images: Images, gate: UploadGate): Promise<void> {
  // a scope of its own: no other route may take images as a body
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(/^image\/[a-z0-9.+-]+(;|$)/i, { parseAs: 'buffer', bodyLimit: MAX_UPLOAD_BYTES }, (_request, body, done) => done(null, body));
    const schema = {
      tags: ['pictures'],
      summary: 'Read the recipe of an image; the body is the file, its content type image/*',
      consumes: ['image/*'],
      body: z.instanceof(Buffer),
      response: { 200: uploadSchema, ...errorAnswers },
    };
    scope
      .withTypeProvider<ZodTypeProvider>()
      .put('/api/uploads', { schema, bodyLimit: MAX_UPLOAD_BYTES, onRequest: uploadPlace(gate, MAX_UPLOAD_BYTES) }, async (request) => {
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
