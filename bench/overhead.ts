import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { loadConfig } from '#main/config/config.ts';
import type { SpawnEngine } from '#main/engine/engine-process.ts';
import { engineProtocol, type WorkerReport } from '#main/engine/protocol.ts';
import { createNodeSpawn } from '#main/engine/spawn-node.ts';
import { loadModels, type Models } from '#main/inference/pipelines/models.ts';
import { createTextToImage } from '#main/inference/pipelines/text-to-image.ts';
import { entryFile, resourcesDir } from '#main/lib/program-files.ts';
import { createLog } from '#main/server/log.ts';
import { startStudio } from '#main/studio/start-studio.ts';
import { paramsOf } from './harness/bench-engine.ts';
import { compileZImage } from './harness/compile-z-image.ts';
import { JobClient, type JobTimes } from './harness/job-client.ts';
import { publish } from './harness/results.ts';
import { ROUNDS } from './harness/rounds.ts';
import type { Row } from './harness/row.ts';
import { median } from './harness/statistics.ts';

const SIDES_PX = [256, 512];
/** A share of the whole, or this much if that is more. */
const LIMIT = { share: 0.03, ms: 60 };
const GOAL_SHARE = 0.01;

/** One image as a client sees it: the time from its request to its file, and the time of the models in the engine's report. */
interface ImageTimes {
  wallMs: number;
  stagesMs: number;
}

/**
 * The time of an image outside the models: around the pipeline (socket, database, queue, channel, PNG, disk), as a client sees it with the engine's own
 * timeline beside it, and inside (noise, scheduler, patches, pixels).
 */
export async function measureOverhead(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'bench-overhead-'));
  try {
    const rows: Row[] = [];
    const generated = await generateThroughServer(dataDir);
    const inside = await measureInside(dataDir);
    for (const sidePx of SIDES_PX) {
      const images = generated.get(sidePx) ?? [];
      const insideMs = inside.get(sidePx) ?? [];
      const wallMs = median(images.map((image) => image.wallMs));
      const around = images.map((image) => image.wallMs - image.stagesMs);
      rows.push({
        label: `${sidePx} x ${sidePx}`,
        unit: 'ms',
        ours: around.map((ms, round) => ms + (insideMs[round] ?? Number.NaN)),
        peer: null,
        must: Math.max(LIMIT.ms, LIMIT.share * wallMs),
        goal: GOAL_SHARE * wallMs,
        note: `of ${wallMs.toFixed(0)} ms: ${median(around).toFixed(0)} ms around the pipeline, ${median(insideMs).toFixed(1)} ms inside it`,
      });
    }
    await publish({ name: 'overhead', what: 'time outside the models, from the request to the image on disk', versions: {}, rows });
  } finally {
    await rm(dataDir, { recursive: true });
  }
}

async function generateThroughServer(dataDir: string): Promise<Map<number, ImageTimes[]>> {
  const reports: WorkerReport[] = [];
  const config = loadConfig(['--host', '127.0.0.1', '--port', '0', '--device', 'cpu', '--data-dir', dataDir, '--log-level', 'warn'], {});
  const studio = await startStudio({ config, spawn: reporting(reports), log: createLog('warn') });
  const client = await JobClient.connect(`http://127.0.0.1:${studio.port}`);
  const generated = new Map<number, ImageTimes[]>(SIDES_PX.map((sidePx) => [sidePx, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const sidePx of SIDES_PX) {
      reports.length = 0;
      const [times] = await client.draw([paramsOf({ prompt: 'an orange cat on a beach', sidePx, seed: round })], 'completed');
      // the first round loads
      if (round > 0) generated.get(sidePx)?.push(generatedFrom(times, reports));
    }
  }
  await client.close();
  await studio.close('now');
  return generated;
}

/** The image's report is the first, its upscaled image's the second. */
function generatedFrom(times: JobTimes | undefined, [report]: readonly WorkerReport[]): ImageTimes {
  if (times === undefined || report === undefined) throw new Error('the image came without an engine report');
  const { encoding = 0, generating = 0, decoding = 0 } = report.stagesMs;
  return { wallMs: times.generatedMs, stagesMs: encoding + generating + decoding };
}

/** Engine processes whose reports are recorded. */
function reporting(reports: WorkerReport[]): SpawnEngine {
  const spawn = createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: () => process.env });
  return (provider) => {
    const started = spawn(provider);
    started.onMessage((message) => {
      const answer = z.object({ type: z.literal('result'), result: engineProtocol.calls.generate.result }).safeParse(message);
      if (answer.success) reports.push(answer.data.result);
    });
    return started;
  };
}

/** By side, for each round: the pipeline's time without the models' runs. */
async function measureInside(dataDir: string): Promise<Map<number, number[]>> {
  const checkpointDir = join(resourcesDir, 'models/storybook-uint4');
  const compiled = await compileZImage(checkpointDir, join(dataDir, 'inside'));
  const models = await loadModels(compiled, { threads: availableParallelism() }, () => {});
  const clock = { modelMs: 0 };
  const pipeline = createTextToImage(compiled, timedModels(models, clock));
  // the server asks for a preview of each step
  const hooks = { onProgress: () => {}, onPreview: () => {} };
  const inside = new Map<number, number[]>();
  for (const sidePx of SIDES_PX) {
    const series: number[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      clock.modelMs = 0;
      const startedAt = performance.now();
      await pipeline.generate(paramsOf({ prompt: `an orange cat, ${round}`, sidePx, seed: round }), hooks, { cancelled: false });
      if (round > 0) series.push(performance.now() - startedAt - clock.modelMs);
    }
    inside.set(sidePx, series);
  }
  await pipeline.release();
  return inside;
}

/** The same models, with their total time recorded. */
function timedModels(models: Models, clock: { modelMs: number }): Models {
  const timed = async <T>(work: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    const result = await work();
    clock.modelMs += performance.now() - startedAt;
    return result;
  };
  const { denoiser } = models;
  return {
    ...models,
    encode: (ids) => timed(() => models.encode(ids)),
    decode: (latents, width, height) => timed(() => models.decode(latents, width, height)),
    denoiser: {
      refine: (embedding) => timed(() => denoiser.refine(embedding)),
      prepare: (rows, columns, caption) => {
        const run = denoiser.prepare(rows, columns, caption);
        return { forward: (latents, time) => timed(() => run.forward(latents, time)) };
      },
    },
  };
}
