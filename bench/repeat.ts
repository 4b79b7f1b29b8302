import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { torchRandn } from '#main/inference/rng.ts';
import { canonicalJson } from '#main/lib/canonical-json.ts';
import { readPngTexts } from '#main/lib/png-texts.ts';
import { replacePngTexts } from '#main/lib/replace-png-texts.ts';
import { parseRecipe, RECIPE_KEYWORD } from '#shared/domain/recipe.ts';
import { type Verification, verificationSchema } from '#shared/domain/verification.ts';
import { Studio } from '../clients/js/zimage.js';
import { safetensorsOf } from '../tests/support/safetensors-bytes.ts';
import { builtProgram } from './harness/built-program.ts';
import { HeadlessServer } from './harness/headless-server.ts';
import { publish } from './harness/results.ts';
import { figure } from './harness/row.ts';
import { withTemporaryFolder } from './harness/temporary-folder.ts';

const IMAGES = 50;
const LORA = 'random';
const LORA_RANK = 4;
const SIZES = [
  [256, 256],
  [256, 384],
  [384, 256],
  [320, 320],
  [448, 272],
  [512, 512],
] as const;

/** How an image is made and read: every model with every size, and by turns with a LoRA, from another image, upscaled, or with a recipe of version 1. */
interface Case {
  model: 'uint4' | 'int8';
  size: (typeof SIZES)[number];
  seed: number;
  hasLora: boolean;
  isFromImage: boolean;
  isUpscaled: boolean;
  hasOldRecipe: boolean;
}

const cases = Array.from({ length: IMAGES }, (_, i): Case => {
  const size = SIZES[Math.floor(i / 2) % SIZES.length] ?? SIZES[0];
  return {
    ...{ model: i % 2 === 0 ? 'uint4' : 'int8', size, seed: i },
    ...{ hasLora: i % 5 === 1, isFromImage: i % 7 === 3, isUpscaled: i % 10 === 4, hasOldRecipe: i % 6 === 5 },
  };
});

/** Makes images with the bundled models, verifies each file and repeats it from its recipe. */
export async function verifyImages(): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const dataDir = join(folder, 'data');
    await writeLora(join(dataDir, 'loras'));
    const server = await HeadlessServer.start(dataDir, { entry: builtProgram() });
    const studio = new Studio({ url: server.url });
    try {
      const verified: Verification[] = [];
      for (const made of cases) verified.push(await makeAndVerify(studio, made));
      const count = (holds: (case_: Case) => boolean): number =>
        verified.filter(({ pixels, repeat }, i) => holds(cases[i] as Case) && pixels === 'intact' && repeat?.verdict === 'identical').length;
      const row = (label: string, holds: (case_: Case) => boolean) =>
        figure(label, count(holds), `of ${cases.filter(holds).length}`, { least: cases.filter(holds).length });
      const rows = [
        row('images that are whole and identical when repeated', () => true),
        row('of the uint4 model', ({ model }) => model === 'uint4'),
        row('of the int8 model', ({ model }) => model === 'int8'),
        row('with a LoRA', ({ hasLora }) => hasLora),
        row('made from another image', ({ isFromImage }) => isFromImage),
        row('upscaled files', ({ isUpscaled }) => isUpscaled),
        row('with a recipe of version 1', ({ hasOldRecipe }) => hasOldRecipe),
      ];
      await publish({ name: 'repeat', what: 'images made, verified and made again from their recipes by the bundled models', rows });
    } finally {
      studio.close();
      await server.stop();
    }
  });
}

/** A LoRA with random weights for one linear, which both bundled checkpoints have. */
async function writeLora(folder: string): Promise<void> {
  const width = 384;
  const tensor = (shape: [number, number], seed: number) => {
    const values = torchRandn(seed, shape[0] * shape[1]).map((value) => value / 10);
    return { dtype: 'F32', shape, data: new Uint8Array(values.buffer) };
  };
  const linear = 'transformer.layers.0.attention.to_q';
  const file = safetensorsOf({ [`${linear}.lora_A.weight`]: tensor([LORA_RANK, width], 1), [`${linear}.lora_B.weight`]: tensor([width, LORA_RANK], 2) });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${LORA}.safetensors`), file);
}

async function makeAndVerify(studio: Studio, { model, size, seed, hasLora, isFromImage, isUpscaled, hasOldRecipe }: Case): Promise<Verification> {
  const params = {
    ...{ prompt: 'a lighthouse in the fog', width: size[0], height: size[1], steps: 5, seed, model_type: model },
    ...{ upscale: isUpscaled ? (2 as const) : (false as const), loras: hasLora ? [{ name: LORA, weight: 0.8 }] : [] },
  };
  const start = isFromImage ? await studio.create({ ...params, seed: seed + IMAGES, upscale: false }).result() : null;
  const job =
    start === null ? studio.create(params) : studio.create({ ...params, image: start.result?.filename, strength: 0.6 }, { taskType: 'image_to_image' });
  const { filename, upscaled_filename: upscaled } = (await job.result()).result ?? {};
  const file = Buffer.from(await studio.image((isUpscaled ? upscaled : filename) ?? ''));
  const answer = await studio.fetch('/api/verify?repeat=true', {
    method: 'PUT',
    headers: { 'content-type': 'image/unknown' },
    body: new Uint8Array(hasOldRecipe ? withOldRecipe(file) : file),
  });
  const verification = verificationSchema.parse(await answer.json());
  if (verification.repeat?.verdict !== 'identical') console.log(JSON.stringify({ filename, pixels: verification.pixels, repeat: verification.repeat }));
  return verification;
}

/** The file as a program that wrote version 1 of the recipe would have left it. */
function withOldRecipe(file: Buffer): Uint8Array {
  const texts = readPngTexts(file).map(({ keyword, text }) => {
    const recipe = keyword === RECIPE_KEYWORD ? parseRecipe(text) : null;
    if (recipe === null) return { keyword, text };
    const { made_on: _made, pixels: _pixels, original_sha256: _original, ...old } = recipe;
    return { keyword, text: canonicalJson({ ...old, version: 1 }) };
  });
  return replacePngTexts(file, texts);
}
