import { McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { jobPageSchema, jobRecordSchema } from '#shared/domain/job-record.ts';
import { infoSchema } from '#shared/protocol/http.ts';
import { textToImageParamsSchema } from '#shared/protocol/messages.ts';
import type { Job, JobMessage, Studio } from '../../../../clients/js/zimage.js';
import { newSeed } from '../door-parts.ts';

export interface McpOptions {
  studio: Studio;
  version: string;
  /** Where the host opens images. */
  url: string;
  /** The folder of images, if the host is on the same machine. */
  outputsFolder: string | null;
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

const { prompt, width, height, steps, guidance_scale, seed, model_type } = textToImageParamsSchema.shape;
const generateSchema = z.object({
  prompt: prompt.describe('What the image shows.'),
  width: width.describe('Pixels, a multiple of 16 from 256 to 2048.'),
  height: height.describe('As width.'),
  seed: seed.removeDefault().optional().describe('The same seed makes the same image; random without it.'),
  steps: steps.describe('More take longer; 9 is the model’s own.'),
  guidance_scale: guidance_scale.describe('Above 0 each step takes twice as long.'),
  model_type,
  count: z.number().int().min(1).max(MAX_COUNT).default(1).describe('So many images with consecutive seeds.'),
  upscale: z.boolean().default(false).describe('Wait for the 4x version and link to it.'),
  wait_seconds: z.number().min(0).max(MAX_WAIT_S).default(WAIT_S).describe('Then the ids of the jobs are returned; ask get_job for them later.'),
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
export function createMcpServer({ studio, version, url, outputsFolder, cancelsOnAbort }: McpOptions): McpServer {
  const server = new McpServer({ name: 'zimage', title: 'Z-Image-Turbo Studio', version });

  server.registerTool(
    'generate_image',
    {
      title: 'Generate images',
      description:
        'Makes images from text on this machine. Returns a small preview and a link to each PNG, or the job ids if it takes longer than wait_seconds.',
      inputSchema: generateSchema,
      outputSchema: imagesSchema,
    },
    async (input, { mcpReq }) => {
      const { count, upscale, wait_seconds, seed: first = newSeed(), ...params } = input;
      const all = Array.from({ length: count }, (_, at) => ({ ...params, seed: first + at }));
      const jobs = all.map((one) => studio.create(one));
      let isDone = false;
      // it aborts after a normal end too
      mcpReq.signal.addEventListener('abort', () => {
        if (!isDone && cancelsOnAbort) for (const job of jobs) void job.cancel().catch(ended);
      });
      const token = mcpReq._meta?.progressToken;
      let reported = -1;
      const shares = jobs.map(() => 0);
      const report = (at: number, message: JobMessage): void => {
        if (message.type !== 'job_progress' || token === undefined) return;
        shares[at] = Math.max(shares[at] ?? 0, message.progress.percentage);
        const progress = shares.reduce((sum, share) => sum + share, 0);
        if (progress <= reported) return;
        reported = progress;
        const text = `${message.progress.stage}, step ${message.progress.current_step} of ${message.progress.total_steps}`;
        void mcpReq
          .notify({ method: 'notifications/progress', params: { progressToken: token, progress, total: 100 * jobs.length, message: text } })
          .catch(ended);
      };
      const deadline = Date.now() + wait_seconds * 1000;
      const images = await Promise.all(
        jobs.map(async (job, at) => ({ ...sizeOf(all[at]), ...(await follow(job, { upscale, deadline, onMessage: (message) => report(at, message) })) })),
      );
      isDone = true;
      return answer(images);
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

/** The state of a job at its end, or when the time is over. */
async function follow(job: Job, { upscale, deadline, onMessage }: { upscale: boolean; deadline: number; onMessage: (message: JobMessage) => void }) {
  const found = { job_id: null as string | null, state: 'pending', filename: null as string | null, error: null as string | null };
  const messages = job[Symbol.asyncIterator]();
  const timeUp = new Promise<null>((resolve) => setTimeout(() => resolve(null), Math.max(0, deadline - Date.now())).unref());
  try {
    while (true) {
      // the first answer, which has the id, comes at once
      const next = found.job_id === null ? await messages.next() : await Promise.race([messages.next(), timeUp]);
      if (next === null || next.done) return found;
      onMessage(next.value);
      found.job_id = job.id ?? null;
      if (next.value.type !== 'job_status') continue;
      const { status, result, error } = next.value;
      Object.assign(found, { state: status, error: error ?? null, filename: (upscale ? result?.upscaled_filename : result?.filename) ?? null });
      if (found.filename !== null) return found;
    }
  } catch (thrown) {
    return { ...found, state: 'refused', error: thrown instanceof Error ? thrown.message : String(thrown) };
  }
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

/** The job has ended, or the host is gone: nothing is left to do. */
function ended(): void {}
