import { expect, test } from 'vitest';
import { expandPrompt, modesOffered } from './expand-prompt.ts';

const patterns = (text: string): string[] => expandPrompt(text, { usesPatterns: true, usesLines: false }).prompts;
const lines = (text: string): string[] => expandPrompt(text, { usesPatterns: false, usesLines: true }).prompts;

test('without a mode every text is one prompt, unchanged', () => {
  const poem = 'a {red|blue} fox\n\nin \\{braces\\}\n';
  expect(expandPrompt(poem, { usesPatterns: false, usesLines: false })).toEqual({ prompts: [poem], count: 1 });
});

test('a pattern stands for each of its words, nested and empty ones too', () => {
  expect(patterns('a {red|blue} fox')).toEqual(['a red fox', 'a blue fox']);
  expect(patterns('{a|b}{1|2}')).toEqual(['a1', 'a2', 'b1', 'b2']);
  expect(patterns('a {|big }{red|{dark|light} blue} fox')).toEqual([
    'a red fox',
    'a dark blue fox',
    'a light blue fox',
    'a big red fox',
    'a big dark blue fox',
    'a big light blue fox',
  ]);
});

test('what is no pattern stays text', () => {
  for (const text of ['{"subject":"fox"}', '{red}', 'a {red|blue', 'a red|blue} fox', '{{red}', '\\d {x}']) expect(patterns(text)).toEqual([text]);
  expect(patterns('a \\{red\\|blue\\} sign')).toEqual(['a {red|blue} sign']);
  expect(patterns('{a\\|b|c}')).toEqual(['a|b', 'c']);
  expect(patterns('{a {b|c}')).toEqual(['{a b', '{a c']);
  expect(patterns('{{red}|x}')).toEqual(['{red}', 'x']);
  expect(patterns('{'.repeat(2000))).toEqual(['{'.repeat(2000)]);
});

test('one prompt per line leaves out empty lines', () => {
  expect(lines('a fox\n\n  \nan owl\n')).toEqual(['a fox', 'an owl']);
  expect(expandPrompt('a {x|y}\nb', { usesPatterns: true, usesLines: true }).prompts).toEqual(['a x', 'a y', 'b']);
});

test('more prompts than the limit are counted and never built', () => {
  const many = '{0|1|2|3|4|5|6|7|8|9}'.repeat(12);
  expect(expandPrompt(many, { usesPatterns: true, usesLines: false })).toEqual({ prompts: [], count: 1e12 });
  expect(expandPrompt('x\n'.repeat(101), { usesPatterns: false, usesLines: true })).toEqual({ prompts: [], count: 101 });
});

test('a mode is offered where it changes something', () => {
  expect(modesOffered('a fox')).toEqual({ usesPatterns: false, usesLines: false });
  expect(modesOffered('{"a":1}\n')).toEqual({ usesPatterns: false, usesLines: false });
  expect(modesOffered('a {b|c}\nd')).toEqual({ usesPatterns: true, usesLines: true });
});
