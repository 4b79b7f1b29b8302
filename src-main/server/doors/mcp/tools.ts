import { McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { jobPageSchema, jobRecordSchema } from '#shared/domain/job-record.ts';
import { infoSchema } from '#shared/protocol/http.ts';
import { textToImageParamsSchema } from '#shared/protocol/messages.ts';
import type { Job, Studio } from '../../../../clients/js/zimage.js';
import { newSeed } from '../door-parts.ts';
import { modelSize, ownSize } from '../size.ts';
import { followJobs, type ToolRequest } from './follow-jobs.ts';
import { type ReadLocalImage, type SourceImage, sourceImage } from './image-source.ts';

export interface McpOptions {
  studio: Studio;
  version: string;
  /** Where the host opens images. */
  url: string;
  /** The folder of images, if the host is on the same machine. */
  outputsFolder: string | null;
  readLocal: ReadLocalImage;
  /** Whether an aborted request is a cancellation: of HTTP's older protocol it is a lost connection only. */
  cancelsOnAbort: boolean;
}

/** Below the 60 seconds after which most hosts end a call. */
const WAIT_S = 45;
const MAX_WAIT_S = 600;
const MAX_COUNT = 8;
const PREVIEW_WIDTHS = [512, 256] as const;
/** Hosts limit a result to about 1 MB, and images fill the context of their models. */
const MAX_PREVIEW_BYTES = 100_000;

const { prompt, width, height, steps, guidance_scale, negative_prompt, seed, model_type } = textToImageParamsSchema.shape;
const waiting = {
  wait_seconds: z.number().min(0).max(MAX_WAIT_S).default(WAIT_S).describe('Then the ids of the jobs are returned; ask get_job for them later.'),
};
const generating = {
  prompt: prompt.describe('What the image shows.'),
  seed: seed.removeDefault().optional().describe('The same seed makes the same image; random without it.'),
  steps: steps.describe('More take longer; 9 is the model’s own.'),
  guidance_scale: guidance_scale.describe('Above 0 each step takes twice as long.'),
  negative_prompt: negative_prompt.describe('What the image should not show; used where guidance_scale is above 0.'),
  model_type,
  count: z.number().int().min(1).max(MAX_COUNT).default(1).describe('The number of images, with consecutive seeds.'),
  upscale: z.boolean().default(false).describe('Wait for the 4x version and link to it.'),
  ...waiting,
};
const generateSchema = z.object({
  ...generating,
  width: width.describe('Pixels, a multiple of 16 from 256 to 2048.'),
  height: height.describe('As width.'),
});
const editSchema = z.object({
  ...generating,
  width: width.removeDefault().optional().describe('Pixels, a multiple of 16 from 256 to 2048; the image’s own size, up to a megapixel, without it.'),
  height: height.removeDefault().optional().describe('As width.'),
  strength: z.number().gt(0).max(1).optional().describe('How much may change; 0.6 without it, 1 with a mask.'),
});
const upscaleSchema = z.object({
  scale: z.union([z.literal(2), z.literal(4)]).default(4),
  ...waiting,
});
const imageSchema = z.object({
  job_id: z.string().nullable(),
  state: z.string(),
  seed: z.number().nullable(),
  width: z.number().nullable(),
  height: z.number().nullable(),
  url: z.string().nullable(),
  error: z.string().nullable(),
});
type ImageAnswer = z.infer<typeof imageSchema>;
const imagesSchema = z.object({ images: z.array(imageSchema) });
const jobIdSchema = z.object({ job_id: z.string().regex(/^[0-9a-f]{64}$/) });

/** The tools of one MCP connection or request. */
export function createMcpServer({ studio, version, url, outputsFolder, readLocal, cancelsOnAbort }: McpOptions): McpServer {
  const server = new McpServer({ name: 'zimage', title: 'Z-Image-Turbo Studio', version });
  const source = (text: string, field: string): Promise<SourceImage> => sourceImage(text, field, studio, readLocal);
  const image = z
    .string()
    .min(1)
    .describe(`The job id or file name of an image made here${readLocal === null ? '' : ', the path of an image file'}, or a data URI.`);
  const returns = 'Returns a small preview and a link to each PNG, or the job ids if it takes longer than wait_seconds.';

  server.registerTool(
    'generate_image',
    {
      title: 'Generate images',
      description: `Makes images from text on this machine. ${returns}`,
      inputSchema: generateSchema,
      outputSchema: imagesSchema,
    },
    ({ count, upscale, wait_seconds, seed: first, ...params }, { mcpReq }) => {
      const all = seeded(params, { count, upscale, first });
      return follow(
        all.map((one) => studio.create(one)),
        { sizes: all, upscale, wait_seconds, mcpReq },
      );
    },
  );

  server.registerTool(
    'edit_image',
    {
      title: 'Edit an image',
      description: `Makes an image from another one and a text; with a mask only parts of it change. ${returns}`,
      inputSchema: editSchema.extend({
        image,
        mask: image.optional().describe('An image of the same size: what is white, or transparent, is repainted.'),
      }),
      outputSchema: imagesSchema,
    },
    async ({ count, upscale, wait_seconds, seed: first, image: from, mask: repaint, strength, ...params }, { mcpReq }) => {
      const found = await source(from, 'image');
      const mask = repaint === undefined ? undefined : (await source(repaint, 'mask')).id;
      const own = modelSize(ownSize(found));
      const all = seeded({ ...params, width: params.width ?? own.width, height: params.height ?? own.height }, { count, upscale, first });
      const inputs = { ...(mask === undefined ? {} : { mask }), ...(strength === undefined ? {} : { strength }) };
      const jobs = await Promise.all(all.map((one) => studio.edit(found.id, { ...one, ...inputs })));
      return follow(jobs, { sizes: all, upscale, wait_seconds, mcpReq });
    },
  );

  server.registerTool(
    'upscale_image',
    {
      title: 'Upscale an image',
      description: `Makes an image 2 or 4 times as large, with more detail. ${returns}`,
      inputSchema: upscaleSchema.extend({ image }),
      outputSchema: imagesSchema,
    },
    async ({ image: from, scale, wait_seconds }, { mcpReq }) => {
      const { id, width: before, height: beforeToo } = await source(from, 'image');
      const sizes = [{ width: before * scale, height: beforeToo * scale }];
      return follow([await studio.upscale(id, { scale })], { sizes, upscale: false, wait_seconds, mcpReq });
    },
  );

  server.registerTool(
    'get_job',
    { title: 'Get a job', description: 'The state of a job, and its image when it is there.', inputSchema: jobIdSchema, outputSchema: imagesSchema },
    async ({ job_id }) => {
      const { status, params, result, error } = jobRecordSchema.parse(await studio.call(`/api/jobs/${job_id}`));
      return answer([{ ...sizeOf(params), job_id, state: status, filename: result?.upscaled_filename ?? result?.filename ?? null, error }]);
    },
  );

  server.registerTool(
    'cancel_job',
    { title: 'Cancel a job', description: 'Cancels a job that this host asked for.', inputSchema: jobIdSchema },
    async ({ job_id }) => text(`Job ${job_id} is ${(await studio.cancel(job_id)).status}.`),
  );

  server.registerTool(
    'list_jobs',
    { title: 'List jobs', description: 'The newest jobs of the server.', inputSchema: z.object({ limit: z.number().int().min(1).max(50).default(10) }) },
    async ({ limit }) => {
      const { jobs } = jobPageSchema.parse(await studio.call(`/api/jobs?limit=${limit}`));
      return text(
        jobs
          .map(
            ({ job_id, status, params }) =>
              `${job_id} ${status} ${params.width}x${params.height} ${'prompt' in params ? JSON.stringify(params.prompt) : `upscale ${params.scale}x`}`,
          )
          .join('\n') || 'no jobs',
      );
    },
  );

  server.registerTool('get_status', { title: 'Get status', description: 'Models, device and queue of the server.', inputSchema: z.object({}) }, async () => {
    const { models, engine, queue } = infoSchema.parse(await studio.call('/api/info'));
    const active = models.filter((model) => model.active).map(({ name }) => name);
    return text(
      `Models: ${active.join(', ')}. Device: ${engine.device}. Queue: ${queue.running} running, ${queue.waiting} waiting${queue.paused ? ', paused' : ''}.`,
    );
  });

  return server;

  async function follow(
    jobs: readonly Job[],
    options: { sizes: readonly { seed?: number; width: number; height: number }[]; upscale: boolean; wait_seconds: number; mcpReq: ToolRequest },
  ) {
    const { sizes, upscale, wait_seconds, mcpReq } = options;
    const followed = await followJobs(jobs, mcpReq, { upscale, waitSeconds: wait_seconds, cancelsOnAbort });
    return answer(followed.map((one, at) => ({ ...sizeOf(sizes[at]), ...one })));
  }

  /** A short text, small previews for the person, links to the files. Images themselves would fill the context of the host's model. */
  async function answer(images: readonly (Omit<ImageAnswer, 'url'> & { filename: string | null })[]) {
    const content: object[] = [];
    const structured = images.map(({ filename, ...image }) => ({
      ...image,
      url: filename === null ? null : `${url}/api/image/${encodeURIComponent(filename)}`,
    }));
    for (const [at, { filename }] of images.entries()) {
      const image = structured[at];
      content.push({
        type: 'text',
        text: `${image?.state}: seed ${image?.seed}, ${image?.width}x${image?.height}, job ${image?.job_id}${image?.error === null ? '' : `: ${image?.error}`}`,
      });
      if (filename === null || image?.url === null || image === undefined) continue;
      content.push(...(await preview(filename)), { type: 'resource_link', uri: image.url, name: filename, mimeType: 'image/png' });
      if (outputsFolder !== null) content.push({ type: 'resource_link', uri: fileUri(outputsFolder, filename), name: filename, mimeType: 'image/png' });
    }
    const isError = images.every(({ error }) => error !== null);
    return { content: content as [], structuredContent: { images: structured }, ...(isError ? { isError } : {}) };
  }

  async function preview(filename: string): Promise<object[]> {
    for (const width of PREVIEW_WIDTHS) {
      const bytes = await studio.image(filename, { width });
      if (bytes.byteLength > MAX_PREVIEW_BYTES) continue;
      return [{ type: 'image', data: Buffer.from(bytes).toString('base64'), mimeType: 'image/webp', annotations: { audience: ['user'] } }];
    }
    return [];
  }
}

/** The params of each image. Only a caller that asks for the upscaled version gets one. */
function seeded<P extends object>(params: P, { count, upscale, first = newSeed() }: { count: number; upscale: boolean; first: number | undefined }) {
  return Array.from({ length: count }, (_, at) => ({ ...params, upscale: upscale ? (4 as const) : (false as const), seed: first + at }));
}

function sizeOf(params: { seed?: number; width: number; height: number } | undefined) {
  return { seed: params?.seed ?? null, width: params?.width ?? null, height: params?.height ?? null };
}

function text(line: string) {
  return { content: [{ type: 'text' as const, text: line }] };
}

function fileUri(folder: string, filename: string): string {
  return new URL(encodeURIComponent(filename), `file://${folder.startsWith('/') ? '' : '/'}${folder.replaceAll('\\', '/')}/`).href;
}
