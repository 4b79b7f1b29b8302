import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { assertCanCompile } from '#main/compiler/assert-can-compile.ts';
import { sharedPath } from '../support/shared-folder.ts';

const here = existsSync(sharedPath('goldens/klein'));
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'klein-refusals-'));
  if (here) await cp(sharedPath('goldens/klein/klein-4bit-dynamic'), dir, { recursive: true });
});
afterEach(() => rm(dir, { recursive: true }));

type Config = Record<string, unknown>;

async function change(part: string, edit: (config: Config) => object): Promise<void> {
  const path = join(dir, part, 'config.json');
  const config: Config = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify({ ...config, ...edit(config) }));
}

// configs alone: nothing of the weights is there before a download
test.skipIf(!here).each<[string, string, (config: Config) => object, RegExp]>([
  ['embedded guidance', 'transformer', () => ({ guidance_embeds: true }), /guidance_embeds is true/],
  ['27 text layers', 'text_encoder', () => ({ num_hidden_layers: 27 }), /27 layers; at least 28/],
  ['another width of the text', 'transformer', () => ({ joint_attention_dim: 200 }), /joint_attention_dim.* is 200; 3 times .*64/],
  ['axes that do not fill the head', 'transformer', () => ({ axes_dims_rope: [8, 8, 8, 4] }), /axes_dims_rope is 8 \+ 8 \+ 8 \+ 4; .*attention_head_dim 32/],
  ['another count of channels', 'transformer', () => ({ in_channels: 16 }), /in_channels .* is 16; 4 times .*8 latent channels/],
  ['another transformer', 'transformer', () => ({ _class_name: 'FluxTransformer2DModel' }), /_class_name is "FluxTransformer2DModel"/],
  [
    'a float4 layer',
    'transformer',
    ({ quantization_config: quantization }) => ({
      quantization_config: { ...(quantization as object), modules_dtype_dict: { float4_e2m2fnu: ['single_transformer_blocks.0.attn.to_out.weight'] } },
    }),
    /single_transformer_blocks\.0\.attn\.to_out.*float4_e2m2fnu/,
  ],
])('%s: refused by name, from the configs', async (_, part, edit, sentence) => {
  await change(part, edit);
  await expect(assertCanCompile(dir, 'configs')).rejects.toMatchObject({ code: 'checkpoint_unsupported', message: expect.stringMatching(sentence) });
});

test.skipIf(!here)('a block that the config denies is refused from the headers', async () => {
  await change('transformer', () => ({ num_single_layers: 2 }));
  await expect(assertCanCompile(dir, 'all')).rejects.toMatchObject({
    code: 'checkpoint_damaged',
    message: expect.stringMatching(/single_transformer_blocks\.2\..*has no place/),
  });
});

test.skipIf(!here)('the untouched checkpoint passes both, layers after the 27th unread', async () => {
  await assertCanCompile(dir, 'configs');
  await assertCanCompile(dir, 'all');
});
