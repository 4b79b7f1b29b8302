import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNodeSpawn } from '#main/engine/spawn-node.ts';
import { createEngine, type SupervisedEngine } from '#main/engine/supervisor.ts';
import { engineConfig } from '#main/engine-config.ts';
import { entryFile, programDir, resourcesDir } from '#main/lib/program-files.ts';
import { openModelRegistry } from '#main/models/registry.ts';
import { programVersion } from '#main/program-version.ts';
import { machineName } from './machine.ts';
import { median } from './median.ts';
import { type PictureResults, resultsFile } from './results.ts';

const SIDES_PX = [256, 512, 1024];
const ROUNDS = 5;
const STEPS = 9;

/**
 * Time and memory of whole pictures on the bundled uint4 checkpoint, by the engine as the server runs it: one warm-up, then rounds in which
 * the sizes take turns. A round's prompt is new, so no text embedding is taken from the cache.
 */
export async function measurePictures(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'bench-picture-'));
  const log = { info: () => {}, warn: (data: object, message: string) => console.error(message, data) };
  const { registry } = await openModelRegistry({ resourcesDir, dataDir, checkpointDirs: [], cacheDir: join(dataDir, 'hub'), log });
  const engine = createEngine({
    spawn: createNodeSpawn({ entry: entryFile('engine/worker.ts'), env: () => process.env }),
    config: engineConfig({ device: 'cpu', accuracy: 'fast', memory: 'resident', dataDir }),
    log,
  });
  try {
    const checkpoint = await registry.checkpointFor('uint4');
    const upscaler = await registry.upscaler();
    const make = async (sidePx: number, seed: number): Promise<{ originalMs: number; upscaleMs: number }> => {
      const params = {
        prompt: `an orange cat on a beach, number ${seed}`,
        width: sidePx,
        height: sidePx,
        steps: STEPS,
        guidance_scale: 0,
        seed,
        model_type: 'uint4' as const,
      };
      const original = join(dataDir, 'original.png');
      const hooks = { onProgress: () => {}, onModelDone: () => {} };
      const { signal } = new AbortController();
      const startedAt = performance.now();
      await engine.generate({ params, checkpointDir: checkpoint.dir, checkpointIdentity: checkpoint.identity, outputPath: original, texts: [] }, hooks, signal);
      const originalAt = performance.now();
      await engine.upscale(
        { inputPath: original, upscalerPath: upscaler.path, upscalerIdentity: upscaler.identity, outputPath: join(dataDir, 'upscaled.png'), texts: [] },
        hooks,
        signal,
      );
      return { originalMs: originalAt - startedAt, upscaleMs: performance.now() - originalAt };
    };

    for (const sidePx of SIDES_PX) await make(sidePx, 0);
    const sizes: PictureResults['sizes'] = SIDES_PX.map((sidePx) => ({ sidePx, originalMs: [], upscaleMs: [], peakBytes: 0 }));
    for (let round = 1; round <= ROUNDS; round++) {
      for (const size of sizes) {
        const { originalMs, upscaleMs } = await make(size.sidePx, round);
        size.originalMs.push(originalMs);
        size.upscaleMs.push(upscaleMs);
        size.peakBytes = await peakBytesOf(engine);
      }
    }
    const results: PictureResults = {
      date: new Date().toISOString().slice(0, 10),
      machine: machineName(),
      version: programVersion(),
      node: process.version,
      steps: STEPS,
      sizes,
    };
    await mkdir(join(programDir, 'bench/results'), { recursive: true });
    await writeFile(resultsFile('picture'), `${JSON.stringify(results, null, 2)}\n`);
    for (const { sidePx, originalMs, upscaleMs, peakBytes } of sizes) {
      console.log(
        `${sidePx} x ${sidePx}: original ${seconds(originalMs)}, 4x ${seconds(upscaleMs)}, peak of the engine's process so far ${Math.round(peakBytes / 1e6)} MB`,
      );
    }
  } finally {
    await engine.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}

function seconds(series: readonly number[]): string {
  return `${(median(series) / 1000).toFixed(2)} s (${(Math.min(...series) / 1000).toFixed(2)} to ${(Math.max(...series) / 1000).toFixed(2)})`;
}

/** Largest resident size that the engine's process ever had; 0 where the system does not tell. */
async function peakBytesOf(engine: SupervisedEngine): Promise<number> {
  const pid = engine.pid();
  if (pid === null || process.platform !== 'linux') return 0;
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}
