import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileUpscaler } from '#main/compiler/compile.ts';
import { loadUpscaler, type UpscalePipeline } from '#main/inference/pipelines/upscale.ts';
import type { Picture } from '#main/lib/picture.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { type Comparison, publish, ROUNDS, takeTurns } from './comparison.ts';
import { testPicture } from './test-picture.ts';

/** Tiles as the server has them; the heavy network's are made smaller, for a picture that it can enlarge as a whole in half a minute, and not timed. */
const CASES = [
  { file: 'realesr-general-x4v3', width: 512, height: 512 },
  { file: 'RealESRGAN_x4plus', width: 128, height: 128, tilePixels: 128 * 64 },
];

/** Pictures enlarged in tiles against the same enlarged as a whole: whether a seam can be seen, and what the overlap costs. */
export async function compareTilesToWhole(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-seam-'));
  try {
    const rows: Comparison[] = [];
    for (const { file, width, height, tilePixels } of CASES) {
      const path = join(resourcesDir, `upscalers/${file}.safetensors`);
      const compiled = await compileUpscaler({ path, cacheDir: folder, identity: file, target: 'cpu-fast' }, () => {});
      const pipeline = await loadUpscaler(compiled, { threads: availableParallelism() }, () => {});
      rows.push(...(await compare(pipeline, `${file}, ${width} x ${height}`, testPicture(width, height), tilePixels)));
      await pipeline.release();
    }
    await publish({ name: 'seam', what: 'a picture enlarged in tiles beside the same enlarged as a whole', versions: {}, rows });
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function compare(pipeline: UpscalePipeline, label: string, input: Picture, tilePixels: number | undefined): Promise<Comparison[]> {
  let tiles = 0;
  const hooks = {
    onProgress: (_stage: string, _done: number, total: number) => {
      tiles = total;
    },
  };
  const enlarge = async (options: { tilePixels?: number }): Promise<{ ms: number; picture: Picture }> => {
    const startedAt = performance.now();
    const picture = await pipeline.upscale(input, hooks, { cancelled: false }, options);
    return { ms: performance.now() - startedAt, picture };
  };
  const inTiles = tilePixels === undefined ? {} : { tilePixels };
  const asWhole = { tilePixels: input.width * input.height };

  const whole = (await enlarge(asWhole)).picture;
  if (tiles !== 1) throw new Error(`the whole picture was cut into ${tiles}`);
  const tiled = (await enlarge(inTiles)).picture;
  if (tiles < 2) throw new Error('the picture is too small to be cut into tiles');
  const differences = whole.data.map((value, i) => Math.abs(value - (tiled.data[i] ?? 255))).sort();
  const name = `${label}, ${tiles} tiles`;
  const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
  const rows: Comparison[] = [
    { label: `${name}: mean difference`, unit: 'levels', ours: [mean], peer: null, must: 1, goal: null },
    {
      label: `${name}: 99.9 % of the differences`,
      unit: 'levels',
      ours: [differences[Math.ceil(differences.length * 0.999) - 1] ?? 255],
      peer: null,
      must: 4,
      goal: null,
    },
  ];
  // smaller tiles have more overlap than the server's
  if (tilePixels !== undefined) return rows;
  const series = await takeTurns(
    ROUNDS,
    async () => (await enlarge(inTiles)).ms,
    async () => (await enlarge(asWhole)).ms,
  );
  return [...rows, { label: `${name}: time`, unit: 'ms', ours: series.ours, peer: { name: 'whole', series: series.peer }, must: 1.2, goal: 1.1 }];
}
