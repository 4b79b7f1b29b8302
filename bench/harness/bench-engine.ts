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

/** An image to measure: a square of the bundled uint4 checkpoint. */
export interface BenchImage {
  prompt: string;
  sidePx: number;
  seed: number;
  /** 9 by default. */
  steps?: number;
}

/** The engine as the server runs it, in its process, with separate files. */
export interface BenchEngine {
  /** The path of the PNG that `generate` writes. */
  pngPath: string;
  /** The bundled checkpoint's folder. */
  checkpointDir: string;
  /** Prompt to PNG on disk. */
  generate(image: BenchImage): Promise<{ ms: number; report: TaskReport }>;
  /** Upscales the PNG of `generate` 4x. */
  upscale(): Promise<{ ms: number; report: TaskReport }>;
  /** Of the engine's process; set after the first image. */
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
      generate: (image) =>
        timed(engine.generate({ params: paramsOf(image), checkpointDir, checkpointIdentity, outputPath: pngPath, provenance: null }, hooks, signal)),
      upscale: () => timed(engine.upscale({ inputPath: pngPath, upscalerPath, upscalerIdentity, outputPath: upscaledPath, provenance: null }, hooks, signal)),
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

export function paramsOf({ prompt, sidePx, seed, steps = STEPS }: BenchImage): TextToImageParams {
  return { prompt, width: sidePx, height: sidePx, steps, guidance_scale: 0, seed, model_type: 'uint4' };
}

async function timed(running: Promise<TaskReport>): Promise<{ ms: number; report: TaskReport }> {
  const startedAt = performance.now();
  const report = await running;
  return { ms: performance.now() - startedAt, report };
}
