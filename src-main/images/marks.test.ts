import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, test } from 'vitest';
import { encodePng } from '#main/lib/png.ts';
import { decodePng } from '#main/lib/read-png.ts';
import { imageTexts } from '#main/provenance/image-texts.ts';
import type { Recipe } from '#shared/domain/recipe.ts';
import { encodeThumbnail } from './decode-image.ts';
import { exportImage } from './export-image.ts';
import { inspectImage } from './inspect-image.ts';

const folder = mkdtempSync(join(tmpdir(), 'zimage-marks-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const canRun = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;
const hasExiftool = canRun('exiftool', '-ver');
const hasPython = canRun('python3', '--version');

/** Texts that break XML, segment limits or encodings where they are written without care. */
const prompts = [
  'a cat',
  'Tom & Jerry <fight> "quoted" ]]> and <?xpacket end="w"?> <!-- comment -->',
  '</rdf:li></rdf:Alt></dc:description>',
  'bell \u0007 escape \u001b delete \u007f \ufffe \uffff',
  'line\r\nbreaks\tand\u2028more\u0085',
  '🐱 in 墨镜, naïve é',
  'lone surrogate: \ud83d end',
  '&amp; already &#x41; escaped {"AIGC":{"Label":"3"}}',
  '墨'.repeat(4000),
];
const size = 640;
const image = { width: size, height: size, data: new Uint8Array(size * size * 3).fill(90) };
const program = { name: 'Z-Image-Turbo Studio', version: '1.2.3' };

const common = { version: 2, job_id: 'a'.repeat(64), created_at: 1, program, made_on: null, pixels: null, original_sha256: null } as const;
const models = { checkpoint: { name: 'c', identity: 'i' }, upscaler: { name: 'u', identity: 'j' } };
const paramsOf = (prompt: string) => ({ prompt, width: size, height: size, steps: 9, guidance_scale: 0, seed: 1, model_type: 'uint4' as const });

function recipeOf(prompt: string, role: Recipe['role']): Recipe {
  return { ...common, ...models, role, task_type: 'text_to_image', params: paramsOf(prompt) };
}

const source = { image: 'b'.repeat(64), strength: 0.5, fit: 'cover' as const };
const fromImages: Recipe[] = [
  { ...common, ...models, role: 'original', task_type: 'image_to_image', params: { ...paramsOf('a cat'), ...source } },
  { ...common, ...models, role: 'upscaled', task_type: 'inpaint', params: { ...paramsOf('a cat'), ...source, feather: 8 } },
  {
    ...{ ...common, upscaler: models.upscaler, role: 'upscaled', task_type: 'upscale' },
    params: { image: source.image, scale: 2, upscaler: 'u', width: size, height: size },
  },
];

/** Every kind of file that this program makes from one image. */
async function outputs(recipe: Recipe, index: number): Promise<{ path: string; recipe: Recipe }[]> {
  const png = join(folder, `${index}.png`);
  writeFileSync(png, await encodePng(image, imageTexts(recipe, true)));
  const files: [string, Uint8Array][] = [['thumb.webp', await encodeThumbnail({ path: png, width: 768, isMarked: true })]];
  for (const format of ['png', 'jpeg', 'webp'] as const) {
    for (const metadata of ['all', 'marks'] as const)
      files.push([`${metadata}.${format}`, await exportImage({ path: png, format, quality: 90, metadata, isMarked: false })]);
  }
  const written = files.map(([name, bytes]) => {
    const path = join(folder, `${index}-${name}`);
    writeFileSync(path, bytes);
    return { path, recipe };
  });
  return [{ path: png, recipe }, ...written];
}

const recipes = [...prompts.map((prompt, index) => recipeOf(prompt, index % 2 === 0 ? 'original' : 'upscaled')), ...fromImages];
const all = (await Promise.all(recipes.map(outputs))).flat();
const sourceTypeOf = ({ task_type }: Recipe) => (task_type === 'text_to_image' ? 'trainedAlgorithmicMedia' : 'compositeWithTrainedAlgorithmicMedia');

describe('marks of every kind of file', () => {
  // earlier versions of exiftool do not know the property and write it Aigc
  test.skipIf(!hasExiftool)('exiftool reads them, equal for every prompt and by the task (skipped without exiftool)', () => {
    const found: Record<string, unknown>[] = JSON.parse(
      execFileSync('exiftool', ['-json', '-n', '-XMP:all', '-a', ...all.map(({ path }) => path)], { maxBuffer: 1 << 26 }).toString(),
    );
    expect(found).toHaveLength(all.length);
    const sourceTypes = new Map(all.map(({ path, recipe }) => [path, sourceTypeOf(recipe)]));
    for (const { SourceFile, CreatorTool, DigitalSourceType, AIGC, Aigc = AIGC } of found) {
      expect([SourceFile, CreatorTool, DigitalSourceType]).toEqual([
        SourceFile,
        'Z-Image-Turbo Studio 1.2.3',
        `http://cv.iptc.org/newscodes/digitalsourcetype/${sourceTypes.get(String(SourceFile))}`,
      ]);
      expect(typeof Aigc === 'string' ? JSON.parse(Aigc) : Aigc).toMatchObject({ Label: '1', ContentProducer: program.name, ProduceID: 'a'.repeat(64) });
    }
  });

  test.skipIf(!hasPython)('sharp returns packets that a strict XML parser takes (skipped without python3)', async () => {
    const packets = new Set<string>();
    for (const { path } of all) packets.add((await sharp(path).metadata()).xmpAsString ?? `${path} has none`);
    // one for images from text and one for those from images
    expect([...packets]).toHaveLength(2);
    for (const packet of packets)
      execFileSync('python3', ['-c', 'import xml.etree.ElementTree as e,sys; e.fromstring(sys.stdin.buffer.read())'], { input: packet });
  });

  test('the prompt is in a file with all metadata, exactly, and in no other', async () => {
    for (const { path, recipe } of all) {
      const { recipe: read } = await inspectImage({ path });
      expect(read, path).toEqual(/all\.|\/\d+\.png$/.test(path) ? recipe : null);
    }
  });
});

test('a PNG keeps its pixels, and a copy without metadata has pixels only', async () => {
  const path = join(folder, '0.png');
  for (const metadata of ['all', 'marks', 'none'] as const) {
    const copy = join(folder, `copy-${metadata}.png`);
    writeFileSync(copy, await exportImage({ path, format: 'png', quality: 90, metadata, isMarked: true }));
    expect((await decodePng(copy)).data).toEqual(image.data);
  }
  for (const format of ['png', 'jpeg', 'webp'] as const) {
    const bytes = await exportImage({ path, format, quality: 90, metadata: 'none', isMarked: true });
    const { xmp, exif, icc, comments } = await sharp(bytes).metadata();
    expect([xmp, exif, icc, comments]).toEqual([undefined, undefined, undefined, undefined]);
  }
});

test('small thumbnails, and larger ones when marks are off, have no packet', async () => {
  const path = join(folder, '0.png');
  for (const request of [
    { width: 512, isMarked: true },
    { width: 768, isMarked: false },
  ])
    expect((await sharp(await encodeThumbnail({ path, ...request })).metadata()).xmp).toBeUndefined();
});

test('a recipe that a JPEG segment cannot hold is refused, not left out', async () => {
  const path = join(folder, 'long.png');
  writeFileSync(path, await encodePng(image, imageTexts(recipeOf('x'.repeat(70_000), 'original'), true)));
  await expect(exportImage({ path, format: 'jpeg', quality: 90, metadata: 'all', isMarked: true })).rejects.toMatchObject({ code: 'bad_param' });
  await expect(exportImage({ path, format: 'jpeg', quality: 90, metadata: 'marks', isMarked: true })).resolves.toBeInstanceOf(Uint8Array);
});
