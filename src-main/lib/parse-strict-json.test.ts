import { expect, test } from 'vitest';
import { parseStrictJson } from './parse-strict-json.ts';

const allowed = [
  '{}',
  '[]',
  '"a"',
  '{"a":{"a":1},"b":[{"a":1},{"a":2}]}',
  '["a","a"]',
  '{"a":"b","b":"a"}',
  '{"a\\"":1,"a":2}',
  '{"k":["a","b",{"k":"k"}],"l":"k"}',
];
test.each(allowed)('%s parses as JSON.parse does', (json) => {
  expect(parseStrictJson(json)).toEqual(JSON.parse(json));
});

const refused: [string, string][] = [
  ['{"a":1,"a":2}', '"a" appears twice'],
  ['{"a":1,"\\u0061":2}', '"a" appears twice'],
  ['[{"x":[{"k":1,"j":"k","k":2}]}]', '"k" appears twice'],
  ['{"a":{"b":1},"c":[1,"a"],"a":{}}', '"a" appears twice'],
  ['{"__proto__":1,"__proto__":2}', '"__proto__" appears twice'],
  ['{"":1,"":2}', '"" appears twice'],
  ['{"a":1', 'JSON'],
  ['', 'JSON'],
];
test.each(refused)('%s is refused', (json, reason) => {
  expect(() => parseStrictJson(json)).toThrow(SyntaxError);
  expect(() => parseStrictJson(json)).toThrow(reason);
});
