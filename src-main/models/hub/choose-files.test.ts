import { expect, test } from 'vitest';
import { chooseFiles } from './choose-files.ts';

const parts = {
  scheduler: ['scheduler_config.json'],
  text_encoder: ['config.json', 'model.safetensors'],
  tokenizer: ['tokenizer.json', 'tokenizer_config.json'],
  transformer: ['config.json', 'diffusion_pytorch_model.safetensors'],
  vae: ['config.json', 'diffusion_pytorch_model.safetensors'],
};

/** The chosen paths of a repository with these files in place of the usual ones. */
function chosen(changes: Partial<typeof parts>): string[] {
  const paths = Object.entries({ ...parts, ...changes }).flatMap(([part, names]) => names.map((name) => `${part}/${name}`));
  const listed = ['model_index.json', 'LICENSE', ...paths].map((path) => ({ path, sizeBytes: 1, hash: 'a'.repeat(64) }));
  return chooseFiles('OWNER/NAME', listed).map(({ path }) => path);
}

const index = (base: string) => `${base}.safetensors.index.json`;

test('merges.txt is part of a tokenizer without tokenizer.json, and only of that', () => {
  const slow = ['vocab.json', 'merges.txt', 'added_tokens.json', 'tokenizer_config.json'];
  expect(chosen({ tokenizer: slow })).toEqual(expect.arrayContaining(slow.map((name) => `tokenizer/${name}`)));
  expect(chosen({ tokenizer: [...slow, 'tokenizer.json'] })).not.toContain('tokenizer/merges.txt');
});

test.each([[['tokenizer_config.json']], [['vocab.json']], [['merges.txt']]])('a tokenizer of %j is refused', (tokenizer) => {
  expect(() => chosen({ tokenizer })).toThrow('OWNER/NAME has no tokenizer');
});

test('of a single file and shards, the form that is not read is not downloaded', () => {
  const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors', index('model')];
  const text = chosen({ text_encoder: ['config.json', 'model.safetensors', ...shards] }).filter((path) => path.startsWith('text_encoder/'));
  expect(text.sort()).toEqual(['text_encoder/config.json', 'text_encoder/model.safetensors']);
  const base = 'diffusion_pytorch_model';
  const split = [`${base}-00001-of-00001.safetensors`, index(base)];
  const transformer = chosen({ transformer: [`${base}.safetensors`, ...split] }).filter((path) => path.startsWith('transformer/'));
  expect(transformer.sort()).toEqual(split.map((name) => `transformer/${name}`).sort());
});

test('shards alone, and other names, are downloaded as before', () => {
  const shards = ['model-00001-of-00001.safetensors', index('model')];
  expect(chosen({ text_encoder: shards })).toEqual(expect.arrayContaining(shards.map((name) => `text_encoder/${name}`)));
  expect(chosen({})).not.toContain('LICENSE');
});
