import { expect, test } from 'vitest';
import { rememberSource, sourceOf, textAt } from './json-source.ts';

test.for<[text: string, path: (string | number)[], found: string | undefined]>([
  ['{"a":9007199254740993}', ['a'], '9007199254740993'],
  [' { "a" : 1.0 , "b" : [ 1e3 , {"c" : -0 } ] } ', ['a'], '1.0'],
  [' { "a" : 1.0 , "b" : [ 1e3 , {"c" : -0 } ] } ', ['b', 0], '1e3'],
  [' { "a" : 1.0 , "b" : [ 1e3 , {"c" : -0 } ] } ', ['b', 1, 'c'], '-0'],
  ['{"a":1,"a":2}', ['a'], '2'],
  ['{"\\u0061":3}', ['a'], '3'],
  ['{"x":"\\"a\\":4","a":5}', ['a'], '5'],
  ['{"x":{"a":6}}', ['a'], undefined],
  ['{"x":"}]{[,:","a":7}', ['a'], '7'],
  ['{}', ['a'], undefined],
  ['[]', [0], undefined],
  ['[8]', ['a'], undefined],
  ['9', ['a'], undefined],
  [`{"x":${'['.repeat(30_000)}${']'.repeat(30_000)},"a":10}`, ['a'], '10'],
])('%s at %j is %s', ([text, path, found]) => {
  JSON.parse(text);
  expect(textAt(text, path)).toBe(found);
});

test('a parsed value remembers its text, another one has none', () => {
  const value: unknown = JSON.parse('{"a":1.50}');
  rememberSource(value, '{"a":1.50}');
  expect([sourceOf(value)(['a']), sourceOf({ a: 1 })(['a']), sourceOf(7)([])]).toEqual(['1.50', undefined, undefined]);
});
