import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { compileCheckpoint, compileUpscaler } from '#main/compiler/compile.ts';
import { buildLayer } from '#main/compiler/models/transformer.ts';
import { loadTransformerConfig } from '#main/compiler/models/transformer-config.ts';
import type { Weights } from '#main/compiler/ops/weights.ts';
import { loadPipeline } from '#main/inference/load-pipeline.ts';
import { loadUpscaler } from '#main/inference/pipelines/upscale.ts';
import { torchRandn } from '#main/inference/rng.ts';
import { captionPositions, imagePositions, rotaryTables } from '#main/inference/rotary.ts';
import type { OrtInputs } from '#main/inference/session.ts';
import { LORA_DOWN, LORA_UP } from '#main/lib/compiled.ts';
import { resourcesDir } from '#main/lib/program-files.ts';
import { compiledSession } from './harness/compiled-session.ts';
import { writeRandomTransformer } from './harness/random-checkpoint.ts';
import { publish } from './harness/results.ts';
import { ROUNDS, takeTurns, timeMs } from './harness/rounds.ts';
import type { Row } from './harness/row.ts';
import { withTemporaryFolder } from './harness/temporary-folder.ts';

const threads = availableParallelism();
const silent = { onProgress: () => {} };
const running = { cancelled: false };
const SIDE_PX = 512;
const LORA_RANK = 16;

/** Images from images beside plain ones of the same number of forwards, a LoRA beside none, and alpha beside none. */
export async function compareEdits(): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const rows = [await compareImageToImage(folder), await compareLora(folder), await compareAlpha(folder)];
    await publish({ name: 'edits', what: 'images from images, LoRAs and alpha beside plain jobs', rows });
  });
}

async function compareImageToImage(cacheDir: string): Promise<Row> {
  const request = { cacheDir, identity: 'bench', target: 'cpu-fast' as const, checkpointDir: join(resourcesDir, 'models/storybook-uint4') };
  const pipeline = await loadPipeline(await compileCheckpoint(request, () => {}), { threads }, () => {});
  const params = { prompt: 'an orange cat on a beach', width: SIDE_PX, height: SIDE_PX, seed: 1, guidance_scale: 0, model_type: 'uint4' as const };
  const plain = () => pipeline.generate({ ...params, steps: 5 }, silent, running);
  const source = { image: await plain(), strength: 0.5, fit: 'cover' as const };
  const series = await takeTurns(
    ROUNDS,
    () => timeMs(() => pipeline.generate({ ...params, steps: 9 }, silent, running, { source })),
    () => timeMs(plain),
  );
  await pipeline.release();
  const label = `image to image, ${SIDE_PX} × ${SIDE_PX}, 4 forwards`;
  return { label, unit: 'ms', ours: series.ours, peer: { name: 'text to image', series: series.peer }, must: 1.15, goal: 1.1 };
}

/** One transformer layer of the real width. */
async function compareLora(folder: string): Promise<Row> {
  await writeRandomTransformer(folder, 'uint4', 1);
  const dir = join(folder, 'transformer');
  const config = await loadTransformerConfig(dir);
  const [side, captionTokens] = [32, 160];
  const tokens = side * side + captionTokens;
  const positions = [...imagePositions(side, side, side * side, captionTokens), ...captionPositions(captionTokens)];
  const tables = rotaryTables({ theta: config.ropeTheta, axes: config.ropeAxes }, positions);
  const inputs: OrtInputs = {
    x: { data: torchRandn(1, tokens * config.width), shape: [tokens, config.width] },
    condition: { data: torchRandn(2, 256), shape: [1, 256] },
    cos: { data: tables.cos, shape: [tables.rows, tables.width] },
    sin: { data: tables.sin, shape: [tables.rows, tables.width] },
  };
  const loraInputs: Record<string, OrtInputs[string]> = {};
  const sessionOf = (takesLoras: boolean) =>
    compiledSession({
      ...{ name: 'layer', dir, stem: 'diffusion_pytorch_model', target: 'cpu-fast', compiledDir: join(folder, `layer-${takesLoras}`), threads },
      build: async (builder, weights: Weights) => {
        const graph = await buildLayer(builder, config, weights.with({ takesLoras }), 0);
        for (const { name, shape } of graph.inputs) {
          if (!name.startsWith(LORA_DOWN) && !name.startsWith(LORA_UP)) continue;
          const sizes = shape.map((dim) => (typeof dim === 'string' ? LORA_RANK : dim));
          loraInputs[name] = {
            data: torchRandn(
              3,
              sizes.reduce((a, b) => a * b, 1),
            ),
            shape: sizes,
          };
        }
        return graph;
      },
    });
  const [plain, withLora] = [await sessionOf(false), await sessionOf(true)];
  const series = await takeTurns(
    ROUNDS,
    () => timeMs(() => withLora.run({ ...inputs, ...loraInputs })),
    () => timeMs(() => plain.run(inputs)),
  );
  await plain.release();
  await withLora.release();
  const label = `a layer of the real width with a LoRA of rank ${LORA_RANK}, ${tokens} tokens`;
  return { label, unit: 'ms', ours: series.ours, peer: { name: 'without', series: series.peer }, must: 1.05, goal: 1.03 };
}

async function compareAlpha(cacheDir: string): Promise<Row> {
  const path = join(resourcesDir, 'upscalers/realesr-general-x4v3.safetensors');
  const upscaler = await loadUpscaler(await compileUpscaler({ cacheDir, identity: 'upscaler', target: 'cpu-fast', path }, () => {}), { threads }, () => {});
  const pixels = SIDE_PX * SIDE_PX;
  const image = { width: SIDE_PX, height: SIDE_PX, data: new Uint8Array(3 * pixels).map((_, i) => (i * 7) % 251) };
  const alpha = new Uint8Array(pixels).map((_, i) => (i % SIDE_PX < SIDE_PX / 2 ? 0 : 255));
  const series = await takeTurns(
    ROUNDS,
    () => timeMs(() => upscaler.upscale({ ...image, alpha }, silent, running)),
    () => timeMs(() => upscaler.upscale(image, silent, running)),
  );
  await upscaler.release();
  const label = `upscale of ${SIDE_PX} × ${SIDE_PX} with alpha`;
  return { label, unit: 'ms', ours: series.ours, peer: { name: 'without', series: series.peer }, must: 2.1, goal: 2 };
}
