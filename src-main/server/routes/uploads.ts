import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Images } from '#main/images/images.ts';
import type { Uploads } from '#main/images/uploads.ts';
import type { Jobs } from '#main/jobs/jobs.ts';
import type { PngText } from '#main/lib/png.ts';
import { verifyImage } from '#main/provenance/verify-image.ts';
import { imageHashSchema } from '#shared/domain/job.ts';
import { parseRecipe, RECIPE_KEYWORD, type Recipe } from '#shared/domain/recipe.ts';
import { verificationSchema } from '#shared/domain/verification.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { imageQuerySchema, uploadSchema } from '#shared/protocol/http.ts';
import { type App, errorAnswers } from '../fastify-app.ts';
import { sendFile } from '../send-content.ts';
import type { Thumbnails } from '../thumbnails.ts';
import { MAX_UPLOAD_BYTES, type UploadGate, uploadPlace } from '../upload-gate.ts';

/** An id names one image for ever. */
const KEEP_S = 24 * 3600;

const imageSchema = {
  tags: ['pictures'],
  summary: 'The decoded image of an upload: upright and in sRGB; with ?w= a smaller WebP of it',
  params: z.object({ id: imageHashSchema }),
  querystring: z.object({ w: imageQuerySchema.shape.w }),
  response: {
    200: { description: 'The image', content: { 'image/png': { schema: z.string() }, 'image/webp': { schema: z.string() } } },
    ...errorAnswers,
  },
};

interface UploadParts {
  jobs: Jobs;
  images: Images;
  uploads: Uploads;
  thumbnails: Thumbnails;
}

/** Calls that take an image file: an upload to start jobs from, with its size, texts and recipe, and its verification; and the decoded image of an upload. */
export async function registerUploads(app: App, { jobs, images, uploads, thumbnails }: UploadParts, gate: UploadGate): Promise<void> {
  app.get('/api/uploads/:id/image', { schema: imageSchema }, async (request, reply) => {
    const { id } = request.params;
    const upload = await uploads.find(id);
    if (upload === null)
      throw new AppError('unknown_image', `There is no upload ${id}, or it was removed a day after its last use. Upload the image again.`, {});
    const { w } = request.query;
    const path = w === undefined ? upload.path : await thumbnails.file(upload.path, w);
    reply.header('cache-control', `private, max-age=${KEEP_S}`);
    return sendFile(request, reply, path, path === upload.path ? 'image/png' : 'image/webp');
  });

  // a scope of its own: no other route may take images as a body
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(/^image\/[a-z0-9.+-]+(;|$)/i, { parseAs: 'buffer', bodyLimit: MAX_UPLOAD_BYTES }, (_request, body, done) => done(null, body));
    const schema = {
      tags: ['pictures'],
      summary: 'Upload an image to start jobs from, or to read its recipe; the body is the file, its content type image/*',
      consumes: ['image/*'],
      body: z.instanceof(Buffer),
      response: { 200: uploadSchema, ...errorAnswers },
    };
    scope
      .withTypeProvider<ZodTypeProvider>()
      .put('/api/uploads', { schema, bodyLimit: MAX_UPLOAD_BYTES, onRequest: uploadPlace(gate, MAX_UPLOAD_BYTES) }, async (request) => {
        const { description, image } = await uploads.add(request.body);
        const { format, width, height, notices, texts } = description;
        return { id: image?.id ?? null, format, width, height, notices, texts: texts.map(({ keyword, text }) => ({ keyword, text })), recipe: recipeOf(texts) };
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
              ...{ inspect: images.inspect, compare: images.compare, obstacles: (recipe) => jobs.repeatObstacles(recipe) },
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
