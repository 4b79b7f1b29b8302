import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Images } from '#main/images/images.ts';
import type { Jobs } from '#main/jobs/jobs.ts';
import type { PngText } from '#main/lib/png.ts';
import { verifyImage } from '#main/provenance/verify-image.ts';
import { parseRecipe, RECIPE_KEYWORD, type Recipe } from '#shared/domain/recipe.ts';
import { verificationSchema } from '#shared/domain/verification.ts';
import { uploadSchema } from '#shared/protocol/http.ts';
import { type App, errorAnswers } from '../fastify-app.ts';
import { MAX_UPLOAD_BYTES, type UploadGate, uploadPlace } from '../upload-gate.ts';

/** Calls that take an image file: its size, texts and recipe, and its verification. The file is not kept. */
export async function registerUploads(app: App, jobs: Jobs, images: Images, gate: UploadGate): Promise<void> {
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

    const verifySchema = {
      tags: ['pictures'],
      summary: 'Say whether an image is whole, was made here and can be repeated; with ?repeat=true make it again and compare',
      consumes: ['image/*'],
      body: z.instanceof(Buffer),
      querystring: z.object({ repeat: z.boolean().default(false) }),
      response: { 200: verificationSchema, ...errorAnswers },
    };
    scope
      .withTypeProvider<ZodTypeProvider>()
      .put(
        '/api/verify',
        { schema: verifySchema, bodyLimit: MAX_UPLOAD_BYTES, onRequest: uploadPlace(gate, MAX_UPLOAD_BYTES) },
        async ({ body: bytes, query: { repeat } }, reply) => {
          const gone = new AbortController();
          reply.raw.once('close', () => gone.abort());
          const hashOf = async (path: string) => (await images.inspect({ path })).pixelsSha256;
          return verifyImage(
            { bytes },
            {
              ...{ inspect: images.inspect, compare: images.compare, missingModels: (recipe) => jobs.missingModels(recipe) },
              findMade: (sha256, jobId) => jobs.findMadeImage(sha256, jobId, hashOf),
              repeat: repeat ? (recipe) => jobs.repeat(recipe, gone.signal) : undefined,
            },
          );
        },
      );
  });
}

function recipeOf(texts: readonly PngText[]): Recipe | null {
  const text = texts.find(({ keyword }) => keyword === RECIPE_KEYWORD)?.text;
  return text === undefined ? null : parseRecipe(text);
}
