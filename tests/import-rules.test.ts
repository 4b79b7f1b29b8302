import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const depcruise = join(root, 'node_modules/.bin/depcruise');

interface Cruise {
  modules: Array<{ source: string }>;
  summary: { violations: Array<{ from: string; rule: { name: string } }> };
}

async function cruise(folder: string): Promise<Cruise> {
  const args = [depcruise, '--config', '.dependency-cruiser.mjs', '--output-type', 'json', 'src-main', 'src-shared', 'src-renderer'];
  const run = await promisify(execFile)(process.execPath, args, { cwd: folder, maxBuffer: 1 << 28 });
  return JSON.parse(run.stdout) as Cruise;
}

/** A file, its import, and exactly the rules that must report it. */
const probes: Array<[file: string, imported: string, rules: string[]]> = [
  ['src-shared/a.ts', '#main/lib/target.ts', ['shared']],
  ['src-shared/b.ts', 'node:fs', ['shared']],
  ['src-shared/c.ts', 'pino', ['shared']],
  ['src-shared/d.test.ts', '#main/lib/target.ts', ['shared-tests']],
  ['src-renderer/a.ts', '#main/lib/target.ts', ['renderer']],
  ['src-renderer/b.ts', 'node:fs', ['renderer']],
  ['src-renderer/c.ts', 'ws', ['renderer']],
  ['src-renderer/d.test.ts', '#main/lib/target.ts', ['renderer-tests']],
  ['src-main/config/a.ts', '#main/jobs/target.ts', ['config']],
  ['src-main/config/b.test.ts', '#main/jobs/target.ts', ['config-tests']],
  ['src-main/lib/a.ts', '#main/config/target.ts', ['lib']],
  ['src-main/lib/b.test.ts', '#main/config/target.ts', ['lib-tests']],
  ['src-main/compiler/a.ts', '#main/inference/target.ts', ['compiler']],
  ['src-main/compiler/b.test.ts', '#main/server/target.ts', ['compiler-tests']],
  ['src-main/inference/a.ts', '#main/compiler/target.ts', ['inference']],
  ['src-main/inference/b.test.ts', '#main/jobs/target.ts', ['inference-tests']],
  ['src-main/inference/c.ts', 'onnxruntime-node', ['only-the-bindings-import-onnxruntime']],
  ['src-main/inference/d.ts', 'koffi', ['only-ort-api-imports-koffi']],
  ['src-main/provenance/a.ts', '#main/images/target.ts', ['provenance']],
  ['src-main/provenance/b.test.ts', '#main/jobs/target.ts', ['provenance-tests']],
  ['src-main/engine/a.ts', '#main/jobs/target.ts', ['engine']],
  ['src-main/engine/b.test.ts', '#main/server/target.ts', ['engine-tests']],
  ['src-main/downloads/a.ts', '#main/models/target.ts', ['downloads']],
  ['src-main/downloads/b.test.ts', '#main/models/target.ts', ['downloads-tests']],
  ['src-main/models/a.ts', '#main/server/target.ts', ['models']],
  ['src-main/models/b.test.ts', '#main/server/target.ts', ['models-tests']],
  ['src-main/cuda-pack/a.ts', '#main/models/target.ts', ['cuda-pack']],
  ['src-main/cuda-pack/b.test.ts', '#main/jobs/target.ts', ['cuda-pack-tests']],
  ['src-main/settings/a.ts', '#main/jobs/target.ts', ['settings']],
  ['src-main/settings/b.test.ts', '#main/jobs/target.ts', ['settings-tests']],
  ['src-main/images/a.ts', '#main/server/target.ts', ['images']],
  ['src-main/images/b.test.ts', '#main/server/target.ts', ['images-tests']],
  ['src-main/images/codec.ts', 'sharp', ['only-types-of-sharp']],
  ['src-main/jobs/a.ts', '#main/engine/target.ts', ['jobs']],
  ['src-main/jobs/b.test.ts', '#main/server/target.ts', ['jobs-tests']],
  ['src-main/jobs/c.ts', '@photostructure/sqlite', ['only-sqlite-imports-the-binding']],
  ['src-main/jobs/d.ts', 'node:sqlite', ['only-sqlite-imports-the-binding']],
  ['src-main/server/a.ts', '#main/engine/target.ts', ['server']],
  ['src-main/server/b.test.ts', '#main/app/target.ts', ['server-tests']],
  ['src-main/app/a.ts', '#main/server/target.ts', ['app']],
  ['src-main/app/b.test.ts', '#main/server/target.ts', ['app-tests']],
  ['src-main/headless.ts', 'electron', ['only-app-imports-electron']],
  ['src-main/studio/a.ts', '#main/app/target.ts', ['studio']],
  ['src-main/studio/b.test.ts', '#main/cli/target.ts', ['studio-tests']],
  ['src-main/cli/a.ts', '#main/app/target.ts', ['cli']],
  ['src-main/cli/b.test.ts', '#main/app/target.ts', ['cli-tests']],
  ['src-main/server/c.ts', '../headless.ts', ['no-import-of-entries', 'server']],
  ['src-main/engine/d.ts', './b.test.ts', ['no-import-of-tests']],
  ['src-main/lib/cycle-one.ts', './cycle-two.ts', ['no-cycle']],
  ['src-renderer/cycle-one.ts', 'type ./cycle-two.ts', ['renderer-no-type-cycle']],
  ['src-main/app/c.ts', './nowhere.ts', ['app', 'no-unresolvable']],
  ['src-main/cli/c.ts', 'vitest', ['cli', 'no-dev-dependency']],
];
/** Allowed imports; no rule may report them. */
const allowed: Array<[file: string, imported: string]> = [
  ['src-main/lib/cycle-two.ts', './cycle-one.ts'], // a cycle is reported once, at its first file
  ['src-renderer/cycle-two.ts', 'type ./cycle-one.ts'],
  ['src-main/lib/type-cycle-one.ts', 'type ./type-cycle-two.ts'],
  ['src-main/lib/type-cycle-two.ts', 'type ./type-cycle-one.ts'],
  ['src-main/app/fine.ts', 'electron'],
  ['src-main/index.ts', 'electron'],
  ['src-main/inference/ort-node.ts', 'onnxruntime-node'],
  ['src-main/inference/ort-api.ts', 'koffi'],
  ['src-main/jobs/store/sqlite.ts', '@photostructure/sqlite'],
  ['src-main/engine/fine.ts', '#main/compiler/target.ts'],
  ['src-main/server/fine.ts', '#main/jobs/target.ts'],
  ['src-main/studio/fine.ts', '#main/server/target.ts'],
  ['src-main/cli/fine.ts', '#main/studio/target.ts'],
  ['src-main/compiler/fine.test.ts', 'vitest'],
  ['src-renderer/fine.ts', '#shared/target.ts'],
  ['src-shared/fine.ts', 'zod'],
];

let folder: string;
let found: Map<string, string[]>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'import-rules-'));
  for (const file of ['.dependency-cruiser.mjs', 'package.json', 'tsconfig.json']) await copyFile(join(root, file), join(folder, file));
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  const write = async (file: string, text: string): Promise<void> => {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), text);
  };
  const rooms = ['config', 'lib', 'compiler', 'inference', 'engine', 'models', 'jobs', 'images', 'server', 'app', 'studio', 'cli'];
  for (const room of [...rooms.map((name) => `src-main/${name}`), 'src-shared']) await write(`${room}/target.ts`, 'export const target = 1;\n');
  const importOf = (imported: string) => (imported.startsWith('type ') ? `import type { probe } from '${imported.slice(5)}'` : `import '${imported}'`);
  for (const [file, imported] of [...probes, ...allowed]) await write(file, `${importOf(imported)};\nexport const probe = 1;\n`);
  const { summary } = await cruise(folder);
  const byFile = Map.groupBy(summary.violations, (violation) => violation.from);
  found = new Map([...byFile].map(([from, violations]) => [from, [...new Set(violations.map((violation) => violation.rule.name))].sort()]));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test.each(probes)('%s importing %s breaks exactly its rules', (file, _imported, rules) => {
  expect(found.get(file)).toEqual(rules);
});

test.each(allowed)('%s may import %s', (file) => {
  expect(found.get(file)).toBeUndefined();
});

test('every rule has a probe that breaks it', async () => {
  const config: { default: { forbidden: Array<{ name: string }> } } = await import(pathToFileURL(join(root, '.dependency-cruiser.mjs')).href);
  expect([...new Set(probes.flatMap(([, , rules]) => rules))].sort()).toEqual(config.default.forbidden.map((rule) => rule.name).sort());
});

test('every file of the repository is checked and keeps the rules', async () => {
  const { modules, summary } = await cruise(root);
  const sources = ['src-main', 'src-shared', 'src-renderer'].flatMap((top) =>
    readdirSync(join(root, top), { recursive: true, encoding: 'utf8' }).map((file) => `${top}/${file}`),
  );
  const cruised = new Set(modules.map((module) => module.source));
  expect(sources.filter((file) => /\.tsx?$/.test(file) && !file.endsWith('.d.ts') && !cruised.has(file))).toEqual([]);
  expect(summary.violations.map(({ from, rule }) => `${from}: ${rule.name}`)).toEqual([]);
});
