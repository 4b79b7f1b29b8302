import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodePng } from '#main/lib/read-png.ts';
import { psnr } from '#main/parity/comparison.ts';
import { type BenchEngine, withBenchEngine } from './harness/bench-engine.ts';
import { peakBytes } from './harness/process-memory.ts';
import { publish } from './harness/results.ts';
import { ROUNDS, takeTurns } from './harness/rounds.ts';
import { figure, type Row } from './harness/row.ts';
import { fastestForm, type PeerBench, withTorchPeer } from './harness/torch-peer.ts';

const SIDES_PX = [256, 512, 1024];
/** Smaller images are not compared: there the peer's time is mostly overhead. */
const SMALLEST_COMPARED_PX = 512;
const STEPS = 9;
/** The limit of accuracy fast in `npm run parity`. */
const LEAST_PSNR = 30;
/** 9 steps as the API counts them are 8 forwards of the transformer on both sides. */
const FORWARDS = STEPS - 1;

/**
 * Whole images with the bundled uint4 checkpoint, prompt to PNG on the disk, by the engine as the server runs it: beside diffusers with sdnq, and upscaled.
 * Each round has a new prompt, so no prompt embedding comes from the cache.
 */
export async function measureImages(): Promise<void> {
  await withTorchPeer((bench) =>
    withBenchEngine(async (engine) => {
      const rows: Row[] = [];
      for (const sidePx of SIDES_PX) {
        const original = sidePx < SMALLEST_COMPARED_PX ? await measureAlone(engine, sidePx) : await compare(engine, bench, sidePx);
        const upscaleMs: number[] = [];
        for (let round = 0; round < ROUNDS; round++) upscaleMs.push((await engine.upscale()).ms);
        const label = `${sidePx} x ${sidePx}`;
        rows.push(
          { ...original, label: `${label}: original` },
          { label: `${label}: 4x version`, unit: 'ms', ours: upscaleMs, peer: null, must: null, goal: null },
          figure(`${label}: peak memory of the engine`, peakBytes(engine.pid()), 'bytes'),
        );
      }
      const what = `prompt to PNG, bundled uint4 checkpoint, ${STEPS} steps (${FORWARDS} forwards), accuracy fast`;
      await publish({ name: 'picture', what, versions: bench.peer.versions, rows });
    }),
  );
}

async function measureAlone(engine: BenchEngine, sidePx: number): Promise<Row> {
  const ours: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const { ms } = await engine.generate({ prompt: promptOf(sidePx, round), sidePx, seed: round });
    if (round > 0) ours.push(ms);
  }
  return { label: '', unit: 'ms', ours, peer: null, must: null, goal: null };
}

async function compare(engine: BenchEngine, { peer, folder }: PeerBench, sidePx: number): Promise<Row> {
  const dir = engine.checkpointDir;
  const [out, png] = [join(folder, 'image.rgb'), join(folder, 'peer.png')];
  const request = (round: number) => ({ prompt: promptOf(sidePx, round), width: sidePx, height: sidePx, forwards: FORWARDS, seed: round, png });

  await peer.ask('open_pipeline', { dir, dtype: 'float32' });
  await peer.ask('generate', { ...request(0), out });
  const reference = await readFile(out);
  const form = await fastestForm(peer, 'open_pipeline', { dir }, 'generate', request(0));
  await peer.ask('generate', { ...request(0), out });
  const peerImage = await readFile(out);

  const generate = async (round: number) => (await engine.generate({ prompt: promptOf(sidePx, round), sidePx, seed: round })).ms;
  await generate(0);
  const ourImage = (await decodePng(engine.pngPath)).data;
  const series = await takeTurns(ROUNDS, generate, (round) => peer.time('generate', request(round)));
  return {
    label: '',
    unit: 'ms',
    ours: series.ours,
    peer: { name: form.name, series: series.peer },
    must: 0.5,
    goal: 0.3,
    quality: { reference: 'diffusers float32', ours: psnr(ourImage, reference, 255), peer: psnr(peerImage, reference, 255), least: LEAST_PSNR },
  };
}

function promptOf(sidePx: number, round: number): string {
  return `a red fox in the snow, ${sidePx}, number ${round}`;
}
