import { expect, test } from 'vitest';
import type { CompiledKlein } from '#main/lib/compiled.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import type { TextToImageParams } from '#shared/domain/job.ts';
import type { CancelSignal } from '../cancel.ts';
import type { PipelineInputs } from './image-pipeline.ts';
import { createKlein } from './klein.ts';
import type { KleinModels } from './klein-models.ts';

const graph = { onnxPath: '', weightsDir: '', memory: { loadedBytes: 1, runningBytes: { fixed: 0, perUnit: 0 } } };
const part = { role: 'text', unit: 'none', graph } as const;
const distilled: CompiledKlein = {
  ...{ architecture: 'klein', identity: 'k', tokenizerDir: '', schedulerDir: '', isDistilled: true, latentChannels: 1, vaeScale: 8, patchSize: 2 },
  parts: { textEncoder: part, prompt: part, vaeEncoder: part, modulation: part, denoiser: part, vaeDecoder: part },
  latentNorm: { means: [0, 0, 0, 0], deviations: [1, 1, 1, 1] },
  rope: { theta: 2000, axes: [2, 2, 2, 2] },
};
const base: CompiledKlein = { ...distilled, isDistilled: false };

/** Models whose velocity is -1 for every prompt but `dark`, of which it is 0. Each call is noted, and may cancel. */
function fakeModels(onCall: (call: string) => void = () => {}) {
  const calls: string[] = [];
  const note = (call: string): void => {
    calls.push(call);
    onCall(call);
  };
  const text = (value: number) => ({ data: Float32Array.of(value), shape: [1, 1] });
  const models: KleinModels = {
    tokenizer: { encodePrompt: () => ({ ids: [], truncated: false, total: 0 }), padId: () => 0, measurePrompt: () => ({ count: 0, limit: 512, cutAt: null }) },
    encode: async (prompt) => {
      note(`encode ${prompt}`);
      return Float32Array.of(prompt === 'dark' ? 0 : -1);
    },
    embed: async (embedding) => {
      note('embed');
      return text(embedding[0] ?? 0);
    },
    modulate: async (sigmas) => {
      note(`modulate ${sigmas.length}`);
      return new Float32Array(sigmas.length);
    },
    prepare: ({ prompt, references }) => ({
      forward: async (image, step) => {
        note(`forward ${step} ${references.length}`);
        return new Float32Array(image.length).fill(Number(prompt.data[0]));
      },
    }),
    encodeImage: async (_planes, width, height) => {
      note(`encode image ${width}x${height}`);
      return new Float32Array((width / 8) * (height / 8));
    },
    decode: async (_tokens, { rows, columns }) => {
      note('decode');
      return Float32Array.from({ length: 3 * rows * columns * 256 }, (_, i) => Math.sin(i));
    },
    keepsDecoder: () => true,
    follow: async () => {},
    release: async () => {},
  };
  return { calls, models };
}

const params: TextToImageParams = { prompt: 'a red hat', width: 64, height: 80, steps: 3, guidance_scale: 1, seed: 4, model_type: 'klein' };
const photo = (value: number, width = 64, height = 64): RgbImage => ({ width, height, data: new Uint8Array(width * height * 3).fill(value) });
const silent = { onProgress: () => {} };
const running: CancelSignal = { cancelled: false };

test('N steps are N forwards; a second run with the same images encodes nothing again', async () => {
  const { calls, models } = fakeModels();
  const pipeline = createKlein(distilled, models);
  const references = [photo(1), photo(2, 80, 64)];
  await pipeline.generate(params, silent, running, { references });
  const forwards = [0, 1, 2].map((step) => `forward ${step} 2`);
  expect(calls).toEqual(['encode a red hat', 'embed', 'encode image 64x64', 'encode image 80x64', 'modulate 3', ...forwards, 'decode']);
  calls.length = 0;
  await pipeline.generate({ ...params, seed: 5 }, silent, running, { references });
  expect(calls).toEqual([...forwards, 'decode']);
  calls.length = 0;
  await pipeline.generate(params, silent, running, { references: [photo(2, 80, 64), photo(3)] });
  expect(calls).toEqual(['encode image 64x64', ...forwards, 'decode']);
});

test('guidance goes from the negative prompt through the prompt and beyond; the first latents are the noise', async () => {
  const { calls, models } = fakeModels();
  const latents: Float32Array[] = [];
  const hooks = { ...silent, onLatents: (_forward: number, values: Float32Array) => void latents.push(values) };
  await createKlein(base, models).generate({ ...params, steps: 1, guidance_scale: 4 }, hooks, running, { negativePrompt: 'dark' });
  expect(calls.filter((call) => call.startsWith('forward'))).toHaveLength(2);
  // 0 + 4 * (-1 - 0), over the whole step from 1 to 0
  for (const [i, value] of (latents[0] ?? []).entries()) expect(latents[1]?.[i]).toBeCloseTo(value + 4, 5);
});

test.each(['encode a red hat', 'embed', 'encode image 64x64', 'encode image 80x64', 'modulate 3', 'forward 0 2', 'forward 1 2', 'forward 2 2', 'decode'])(
  'cancelled during %s, nothing runs after it',
  async (stage) => {
    const signal = { cancelled: false };
    const { calls, models } = fakeModels((call) => {
      if (call === stage) signal.cancelled = true;
    });
    const pipeline = createKlein(distilled, models);
    const made = pipeline.generate(params, silent, signal, { references: [photo(1), photo(2, 80, 64)] });
    await expect(made).rejects.toMatchObject({ code: 'cancelled' });
    // a graph that runs is stopped by the signal, as `session.ts` promises; the fake ends its run
    expect(calls.at(-1)).toBe(stage);
  },
);

test.each<[string, CompiledKlein, Partial<TextToImageParams>, PipelineInputs, string]>([
  ['guidance on a distilled model', distilled, { guidance_scale: 3 }, {}, 'guidance_scale'],
  ['a negative prompt on a distilled model', distilled, {}, { negativePrompt: 'dark' }, 'negative_prompt'],
  ['a side that is no multiple of 16', distilled, { width: 72 }, {}, 'width'],
  ['an image to start from', base, {}, { source: { image: photo(1), strength: 1, fit: 'cover' } }, 'image'],
  ['a reference that is too small', base, {}, { references: [photo(1), photo(1, 63, 64)] }, 'images'],
  ['a reference that is too long', base, {}, { references: [photo(1, 64, 528)] }, 'images'],
])('%s is refused before anything is drawn', async (_, compiled, changes, inputs, field) => {
  const { calls, models } = fakeModels();
  const made = createKlein(compiled, models).generate({ ...params, ...changes }, silent, running, inputs);
  await expect(made).rejects.toMatchObject({ code: 'bad_param', data: { field } });
  expect(calls.filter((call) => /forward|decode/.test(call))).toEqual([]);
});

test('0 is no guidance, as 1 is', async () => {
  const { calls, models } = fakeModels();
  await createKlein(distilled, models).generate({ ...params, guidance_scale: 0 }, silent, running);
  expect(calls.filter((call) => call.startsWith('forward'))).toHaveLength(3);
});
