import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { librariesTable, withTable } from '../scripts/third-party.ts';

const root = resolve(import.meta.dirname, '..');
const inGit = existsSync(join(root, '.git'));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

/** Tracked text files. Without git (a source archive), every file that is not built or installed. */
function textFiles(): string[] {
  const all = inGit
    ? execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).split('\0')
    : readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => !/^(node_modules|out|dist|data|outputs)\//.test(file));
  const isText = (file: string): boolean =>
    file !== '' && existsSync(join(root, file)) && statSync(join(root, file)).isFile() && !readFileSync(join(root, file)).includes(0);
  return all.filter(isText);
}

const files = textFiles();
const found = (pattern: RegExp): string[] => files.flatMap((file) => [...read(file).matchAll(pattern)].map((match) => `${file}: ${match[0]}`));

test('there are files to check', () => {
  expect(files).toContain('package.json');
  expect(files.length).toBeGreaterThan(30);
});

test('no file contains a path of a development machine', () => {
  expect(found(/(?<![\w.}/~-])\/(?:work|root|home|Users|opt\/n24)\/[\w.-]+/g)).toEqual([]);
});

test('no file names a package registry', () => {
  expect(
    found(/registry\.(?:npmjs|yarnpkg|npmmirror)\.[a-z]+|pypi\.org|files\.pythonhosted\.org/g).filter((hit) => !hit.startsWith('tests/repo.test.ts')),
  ).toEqual([]);
});

test('the lock file contains no host, so that any registry works', () => {
  expect(read('package-lock.json')).not.toContain('"resolved": "http');
});

test('every relative link in a Markdown file leads to a file', () => {
  const links = files
    .filter((file) => file.endsWith('.md'))
    .flatMap((file) => [...read(file).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)/g)].map((match) => ({ file, target: match[1] ?? '' })));
  expect(links.length).toBeGreaterThan(5);
  expect(links.filter(({ file, target }) => !existsSync(join(root, dirname(file), target)))).toEqual([]);
});

test('every dependency has its line in docs/decisions/dependencies.md', () => {
  const manifest: { dependencies: Record<string, string>; devDependencies: Record<string, string>; optionalDependencies: Record<string, string> } = JSON.parse(
    read('package.json'),
  );
  const text = read('docs/decisions/dependencies.md');
  const covered = (name: string): boolean => text.includes(`\`${name}\``) || (/^@(fastify|types)\//.test(name) && text.includes(`\`${name.split('/')[0]}/*\``));
  const names = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies });
  expect(names.length).toBeGreaterThan(20);
  expect(names.filter((name) => !covered(name))).toEqual([]);
});

test('THIRD-PARTY.md lists the shipped libraries', () => {
  const text = read('THIRD-PARTY.md');
  expect(text, 'npm run third-party writes it').toBe(withTable(text, librariesTable(root)));
});

test('only config and the entries that call it read the command line and the environment', () => {
  const readers = files
    .filter((file) => /^src-main\/.*\.ts$/.test(file) && !file.endsWith('.test.ts') && !file.startsWith('src-main/config/'))
    .filter((file) => /process\s*\.\s*(?:env|argv)\b/.test(read(file)));
  expect(readers).toEqual([]);
});

test('comments, texts and docs keep to plain English', () => {
  const phrases = /\b(?:anew|whoever|lies? in|gone by)\b/g;
  const isOurs = (hit: string): boolean => /^(?!THIRD-PARTY|tests\/repo\.test)[^:]+\.(?:tsx?|mjs|md|sh|py): /.test(hit);
  expect(found(phrases).filter(isOurs)).toEqual([]);
});
