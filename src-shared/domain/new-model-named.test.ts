import { expect, test } from 'vitest';
import { newModelNamed } from './new-model-named.ts';

test.each([
  ['/models/z-image', { dir: '/models/z-image' }],
  ['C:\\loras\\ink.safetensors', { file: 'C:\\loras\\ink.safetensors' }],
  ['~/ink.safetensors', { file: '~/ink.safetensors' }],
  ['owner/name', { repository: 'owner/name' }],
  ['owner/name/loras/ink.safetensors', { repository: 'owner/name', file: 'loras/ink.safetensors' }],
  ['https://huggingface.co/owner/name/', { repository: 'owner/name' }],
  ['https://huggingface.co/owner/name/tree/dev', { repository: 'owner/name', revision: 'dev' }],
  ['https://huggingface.co/owner/name/resolve/main/a/ink.safetensors?download=true', { repository: 'owner/name', revision: 'main', file: 'a/ink.safetensors' }],
  ['name', { repository: 'name' }],
])('%s', (text, model) => {
  expect(newModelNamed(text)).toEqual(model);
});
