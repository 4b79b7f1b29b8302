import { expect, test } from 'vitest';
import type { Recipe } from '#shared/domain/recipe.ts';
import { recipeOf } from './image-recipe.ts';

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
};

const fromTexts = (texts: Array<{ keyword: string; text: string }>) => recipeOf({ recipe: null, texts });

test('our own recipe comes before what other tools read', () => {
  expect(recipeOf({ recipe, texts: [{ keyword: 'parameters', text: 'another prompt' }] })).toEqual(params);
});

test('reads the settings line of AUTOMATIC1111', () => {
  const text = 'a dog, on a\nbeach\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 123, Size: 512x768, Model: x';
  expect(fromTexts([{ keyword: 'parameters', text }])).toEqual({ prompt: 'a dog, on a\nbeach', steps: 20, seed: 123, width: 512, height: 768 });
});

test('a parameters text without a settings line is a prompt', () => {
  expect(fromTexts([{ keyword: 'parameters', text: 'only words' }])).toEqual({ prompt: 'only words' });
});

test("reads ComfyUI's graph through the sampler's links", () => {
  const graph = {
    '3': { class_type: 'KSampler', inputs: { seed: 5, steps: 12, positive: ['6', 0], negative: ['7', 0], latent_image: ['5', 0] } },
    '5': { class_type: 'EmptyLatentImage', inputs: { width: 640, height: 384 } },
    '6': { class_type: 'CLIPTextEncode', inputs: { text: 'a ship' } },
    '7': { class_type: 'CLIPTextEncode', inputs: { text: 'ugly' } },
  };
  expect(fromTexts([{ keyword: 'prompt', text: JSON.stringify(graph) }])).toEqual({ prompt: 'a ship', steps: 12, seed: 5, width: 640, height: 384 });
});

test.each([[[]], [[{ keyword: 'Software', text: 'GIMP' }]], [[{ keyword: 'prompt', text: 'not json' }]], [[{ keyword: 'parameters', text: '  ' }]]])(
  'nothing to read in %j',
  (texts) => {
    expect(fromTexts(texts)).toBeNull();
  },
);
