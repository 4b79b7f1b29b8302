import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { programDir } from '#main/lib/program-files.ts';
import { programVersion } from '#main/lib/program-version.ts';
import { decodePng } from '#main/lib/read-png.ts';
import { psnr } from '#main/parity/comparison.ts';
import { type BenchEngine, withBenchEngine } from './bench-engine.ts';
import { type Comparison, dated, describe, ROUNDS, takeTurns } from './comparison.ts';
import { machineName } from './machine.ts';
import { median } from './median.ts';
import { peakBytes } from './resident-size.ts';
import type { PictureResults } from './results.ts';
import { resultsFile } from './results-file.ts';
import { fastestForm, type PeerBench, withTorchPeer } from './torch-peer.ts';

const SIDES_PX = [256, 512, 1024];
const COMPARED_SIDES_PX = [512, 1024];
const STEPS = 9;
/** Of accuracy fast, as `npm run parity` has it. */
const LEAST_PSNR = 30;
/** 9 steps in the original's count are 8 forwards of the transformer on both sides. */
const FORWARDS = STEPS - 1;

/**
 * Whole pictures on the bundled uint4 checkpoint, prompt to PNG on the disk, by the engine as the server runs it: alone with their enlargement, for the
 * README, then beside diffusers with sdnq. A round's prompt is new, so no text embedding is taken from the cache.
 */
export async function measurePictures(): Promise<void> {
  await withTorchPeer((bench) =>
    withBenchEngine(async (engine) => {
      const sizes = await measureAlone(engine);
      const rows: Comparison[] = [];
      for (const sidePx of COMPARED_SIDES_PX) rows.push(await compare(engine, bench, sidePx));
      const what = `prompt to PNG, bundled uint4 checkpoint, ${STEPS} steps (${FORWARDS} forwards), accuracy fast`;
      const results: PictureResults = {
        date: new Date().toISOString().slice(0, 10),
        machine: machineName(),
        version: programVersion(),
        node: process.version,
        steps: STEPS,
        sizes,
        comparison: dated({ name: 'picture', what, versions: bench.peer.versions, rows }),
      };
      await mkdir(join(programDir, 'bench/results'), { recursive: true });
      await writeFile(resultsFile('picture'), `${JSON.stringify(results, null, 2)}\n`);
      for (const row of rows) console.log(describe(row));
    }),
  );
}

/** One warm-up, then rounds in which the sizes take turns. */
async function measureAlone(engine: BenchEngine): Promise<PictureResults['sizes']> {
  const make = async (sidePx: number, round: number): Promise<{ originalMs: number; upscaleMs: number }> => ({
    originalMs: (await engine.generate({ prompt: promptOf(sidePx, round), sidePx, seed: round })).ms,
    upscaleMs: (await engine.upscale()).ms,
  });
  for (const sidePx of SIDES_PX) await make(sidePx, 0);
  const sizes: PictureResults['sizes'] = SIDES_PX.map((sidePx) => ({ sidePx, originalMs: [], upscaleMs: [], peakBytes: 0 }));
  for (let round = 1; round <= ROUNDS; round++) {
    for (const size of sizes) {
      const { originalMs, upscaleMs } = await make(size.sidePx, round);
      size.originalMs.push(originalMs);
      size.upscaleMs.push(upscaleMs);
      size.peakBytes = peakBytes(engine.pid());
    }
  }
  for (const { sidePx, originalMs, upscaleMs, peakBytes: peak } of sizes) {
    const peakMegabytes = Math.round(peak / 1e6);
    console.log(`${sidePx} x ${sidePx}: original ${seconds(originalMs)}, 4x ${seconds(upscaleMs)}, peak of the engine's process so far ${peakMegabytes} MB`);
  }
  return sizes;
}

async function compare(engine: BenchEngine, { peer, folder }: PeerBench, sidePx: number): Promise<Comparison> {
  const dir = engine.checkpointDir;
  const [out, png] = [join(folder, 'picture.rgb'), join(folder, 'peer.png')];
  const request = (round: number) => ({ prompt: comparedPrompt(sidePx, round), width: sidePx, height: sidePx, forwards: FORWARDS, seed: round, png });

  await peer.ask('open_pipeline', { dir, dtype: 'float32' });
  await peer.ask('generate', { ...request(0), out });
  const reference = await readFile(out);
  const form = await fastestForm(peer, 'open_pipeline', { dir }, 'generate', request(0));
  await peer.ask('generate', { ...request(0), out });
  const peerPicture = await readFile(out);

  const generate = async (round: number) => (await engine.generate({ prompt: comparedPrompt(sidePx, round), sidePx, seed: round })).ms;
  await generate(0);
  const ourPicture = (await decodePng(engine.pngPath)).data;
  const series = await takeTurns(ROUNDS, generate, (round) => peer.time('generate', request(round)));
  return {
    label: `${sidePx} x ${sidePx}`,
    unit: 'ms',
    ours: series.ours,
    peer: { name: form.name, series: series.peer },
    must: 0.5,
    goal: 0.3,
    quality: { reference: 'diffusers float32', ours: psnr(ourPicture, reference, 255), peer: psnr(peerPicture, reference, 255), least: LEAST_PSNR },
  };
}

function promptOf(sidePx: number, round: number): string {
  return `an orange cat on a beach, ${sidePx}, number ${round}`;
}

function comparedPrompt(sidePx: number, round: number): string {
  return `a red fox in the snow, ${sidePx}, number ${round}`;
}

function seconds(series: readonly number[]): string {
  return `${(median(series) / 1000).toFixed(2)} s (${(Math.min(...series) / 1000).toFixed(2)} to ${(Math.max(...series) / 1000).toFixed(2)})`;
}
