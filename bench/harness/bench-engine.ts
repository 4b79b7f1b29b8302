import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine } from '#main/engine/create-engine.ts';
import type { EngineHooks, TaskReport } from '#main/engine/engine.ts';
import { createNodeSpawn } from '#main/engine/spawn-node.ts';
import { entryFile, resourcesDir } from '#main/lib/program-files.ts';
import { openModelRegistry } from '#main/models/registry.ts';
import { engineConfig } from '#main/studio/engine-config.ts';
import type { TextToImageParams } from '#shared/domain/job.ts';

const STEPS = 9;

/** A picture to measure: a square of the bundled uint4 checkpoint. */
export interface BenchPicture {
  prompt: string;
  sidePx: number;
  seed: number;
  /** 9 where it is left out. */
  steps?: number;
}

/** The engine as the server runs it, in its process, with files of its own. */
export interface BenchEngine {
  /** Where `generate` leaves its PNG. */
  pngPath: string;
  /** The bundled checkpoint's folder. */
  checkpointDir: string;
  /** Prompt to PNG on the disk. */
  generate(picture: BenchPicture): Promise<{ ms: number; report: TaskReport }>;
  /** The PNG that `generate` left, four times as large. */
  upscale(): Promise<{ ms: number; report: TaskReport }>;
  /** Of the engine's process; it is there after the first picture. */
  pid(): number;
}

/** Runs `work` with an engine on the CPU in accuracy fast, and ends it. */
export async function withBenchEngine(work: (engine: BenchEngine) => Promise<void>): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'bench-engine-'));
  const log = { info: () => {}, warn: (data: object, message: string) => console.error(message, data) };
  const { registry } = await openModelRegistry({ resourcesDir, dataDir, checkpointDirs: [], cacheDir: join(dataDir, 'hub'), log });
  const engine = createEngine({
    spawn: createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: () => process.env }),
    devices: [engineConfig({ device: 'cpu', accuracy: 'fast', memory: 'resident', dataDir })],
    log,
  });
  const hooks: EngineHooks = { onProgress: () => {}, onModelDone: () => {} };
  const { signal } = new AbortController();
  try {
    const { dir: checkpointDir, fingerprint: checkpointIdentity } = await registry.checkpointFor('uint4');
    const { path: upscalerPath, fingerprint: upscalerIdentity } = await registry.upscaler();
    const pngPath = join(dataDir, 'original.png');
    const upscaledPath = join(dataDir, 'upscaled.png');
    await work({
      pngPath,
      checkpointDir,
      generate: (picture) =>
        timed(engine.generate({ params: paramsOf(picture), checkpointDir, checkpointIdentity, outputPath: pngPath, texts: [] }, hooks, signal)),
      upscale: () => timed(engine.upscale({ inputPath: pngPath, upscalerPath, upscalerIdentity, outputPath: upscaledPath, texts: [] }, hooks, signal)),
      pid: () => {
        const pid = engine.pid();
        if (pid === null) throw new Error('the engine has no process');
        return pid;
      },
    });
  } finally {
    await engine.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}

export function paramsOf({ prompt, sidePx, seed, steps = STEPS }: BenchPicture): TextToImageParams {
  return { prompt, width: sidePx, height: sidePx, steps, guidance_scale: 0, seed, model_type: 'uint4' };
}

async function timed(running: Promise<TaskReport>): Promise<{ ms: number; report: TaskReport }> {
  const startedAt = performance.now();
  const report = await running;
  return { ms: performance.now() - startedAt, report };
}
