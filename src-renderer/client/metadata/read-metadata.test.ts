import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import type { Recipe } from '#shared/domain/recipe.ts';
import { readMetadata } from './read-metadata.ts';

const folder = resolve(import.meta.dirname, '../../../tests/fixtures/metadata');
const sampleSchema = z.object({ texts: z.record(z.string(), z.string()), settings: z.record(z.string(), z.unknown()).nullable() });

/** `texts` are the text chunks of an image as the program of that name writes them; `settings` is what they mean here, null for nothing. */
const samples = readdirSync(folder).map((file) => ({ name: file, ...sampleSchema.parse(JSON.parse(readFileSync(join(folder, file), 'utf8'))) }));

test.each(samples)('$name', ({ texts, settings }) => {
  const upload = { recipe: null, texts: Object.entries(texts).map(([keyword, text]) => ({ keyword, text })) };
  expect(readMetadata(upload)).toEqual(settings);
  // the order of the chunks does not matter
  expect(readMetadata({ ...upload, texts: upload.texts.toReversed() })).toEqual(settings);
});

test('our own recipe comes before other metadata', () => {
  const params = { prompt: 'a cat', width: 512, height: 256, steps: 9, guidance_scale: 0, seed: 7, model_type: 'int8' as const };
  const recipe: Recipe = {
    version: 1,
    role: 'upscaled',
    job_id: 'b'.repeat(64),
    task_type: 'text_to_image',
    params,
    checkpoint: { name: 'storybook-int8', identity: 'x' },
    upscaler: { name: 'realesr-general-x4v3', identity: 'y' },
    program: { name: 'z-image-turbo-studio', version: '0.1.0' },
    created_at: 1,
    ...{ made_on: null, pixels: null, original_sha256: null },
  };
  expect(readMetadata({ recipe, texts: [{ keyword: 'parameters', text: 'x\nSteps: 1, Sampler: Euler, Seed: 1, Size: 8x8' }] })).toEqual(params);
});

test('a graph with a very long chain of links ends without a prompt', () => {
  const chain = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [index, { class_type: 'Reroute', inputs: { '': [String(index + 1), 0] } }]));
  const graph = { s: { class_type: 'KSampler', inputs: { positive: ['0', 0], latent_image: ['0', 0] } }, ...chain };
  expect(readMetadata({ recipe: null, texts: [{ keyword: 'prompt', text: JSON.stringify(graph) }] })).toBeNull();
});
