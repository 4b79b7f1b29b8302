import { expect, test } from 'vitest';
import { jobQuerySchema } from '#shared/domain/job-record.ts';
import { parseSearch, searchOf } from './search-query.ts';

test.each([
  ['red fox', { query: 'red fox' }],
  ['seed:42 model:int8 size:>1024 "red fox" -car', { seed: 42, model: 'int8', min_pixels: 1024 ** 2 + 1, phrases: 'red fox', without: 'car' }],
  ['-"blue car" -dog "a" "b c"', { without: 'blue car\ndog', phrases: 'a\nb c' }],
  ['size:768x512', { width: 768, height: 512 }],
  ['SIZE:<=512 is:starred', { max_pixels: 512 ** 2, starred: true }],
  ['size:<512', { max_pixels: 512 ** 2 - 1 }],
  ['size:512', { min_pixels: 512 ** 2, max_pixels: 512 ** 2 }],
  ['album:"Red foxes" tag:spring fox', { album: 'Red foxes', tag: 'spring', query: 'fox' }],
  ['', {}],
  ['""  ', {}],
])('%j', (text, expected) => {
  const found = parseSearch(text);
  expect(found).toEqual(expected);
  expect(jobQuerySchema.parse(found)).toMatchObject(expected);
});

test.each(['Foxes', 'Red foxes', '狐狸', 'a:b', "it's"])('the search for the album %j finds it', (name) => {
  expect(parseSearch(searchOf({ kind: 'album', name }))).toEqual({ album: name });
});

test('what is no condition is searched for as words', () => {
  for (const text of ['seed:abc', 'seed:1e3', 'size:big', 'size:0', 'model:sdxl', 'is:new', 'https://a', '-', 'a:b', '12:30', 'seed:', 'half "open'])
    expect(parseSearch(text)).toEqual({ query: text });
});
