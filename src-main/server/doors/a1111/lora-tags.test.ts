import { expect, test } from 'vitest';
import { loraName, splitLoraTags } from './lora-tags.ts';

test.each([
  ['a fox', 'a fox', []],
  ['a fox <lora:style:0.8>', 'a fox', [{ name: 'style', weight: 0.8 }]],
  ['<LoRA:style>  a fox', 'a fox', [{ name: 'style', weight: 1 }]],
  [
    'a <lora:one:0.5:-0.25> red <lora:two:abc> fox',
    'a red fox',
    [
      { name: 'one', weight: -0.25 },
      { name: 'two', weight: 1 },
    ],
  ],
  ['a <lora:sub/style.safetensors:0.8:> fox', 'a fox', [{ name: 'style', weight: 0.8 }]],
  ['a <lora> and <lora:> and lora:x', 'a <lora> and <lora:> and lora:x', []],
])('%j', (text, prompt, loras) => {
  expect(splitLoraTags(text)).toEqual({ prompt, loras });
});

test.each([
  ['/models/Lora/style.safetensors', 'style'],
  ['C:\\Lora\\style.safetensors', 'style'],
  ['style', 'style'],
])('the name of %j', (path, name) => {
  expect(loraName(path)).toBe(name);
});
