import { globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

const MAX_LINES = 250;
const root = resolve(import.meta.dirname, '..');

/** Classes and functions of a source text with more than `MAX_LINES` lines. */
function oversized(file: string, text: string): string[] {
  if (text.split('\n').length <= MAX_LINES) return [];
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const [first, last] = [node.getStart(), node.getEnd()].map((at) => source.getLineAndCharacterOfPosition(at).line);
    const lines = Number(last) - Number(first) + 1;
    if ((ts.isClassLike(node) || ts.isFunctionLike(node)) && lines > MAX_LINES) found.push(`${file}:${Number(first) + 1}: ${lines} lines`);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

test(`no class or function has more than ${MAX_LINES} lines`, () => {
  const files = globSync('{src-main,src-shared,src-renderer,bench,scripts,kernels}/**/*.{ts,tsx}', { cwd: root }).filter((file) => !file.includes('.test.'));
  expect(files.length).toBeGreaterThan(300);
  expect(files.flatMap((file) => oversized(file, readFileSync(resolve(root, file), 'utf8')))).toEqual([]);
});

test('a class and a closure that are too long are found', () => {
  const body = 'work();\n'.repeat(MAX_LINES);
  expect(oversized('class.ts', `class Long { run() {\n${body}} }`)).toHaveLength(2);
  expect(oversized('closure.ts', `const long = () => {\n${body}};`)).toEqual([`closure.ts:1: ${MAX_LINES + 2} lines`]);
});
