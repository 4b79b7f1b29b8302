// Rewrites the table of libraries in THIRD-PARTY.md from package-lock.json and the renderer's imports: npm run third-party
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';

const lockSchema = z.object({
  packages: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      license: z.string().optional(),
      dev: z.boolean().optional(),
      dependencies: z.record(z.string(), z.string()).optional(),
      optionalDependencies: z.record(z.string(), z.string()).optional(),
      peerDependencies: z.record(z.string(), z.string()).optional(),
    }),
  ),
});
type Lock = z.infer<typeof lockSchema>['packages'];

/** They provide Node.js for `start.sh`; our packages do not contain them. */
const notShipped = /^node-(linux|win)-/;

/** Package names that the files below `folder` import. */
function importedPackages(folder: string): Set<string> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => /\.(tsx?|css)$/.test(file) && !/\.test\.tsx?$/.test(file));
  const specifiers = files.flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(/(?:from|import)\s*\(?\s*'([^'.#][^']*)'/g)].map((match) => match[1] ?? ''),
  );
  return new Set(specifiers.map((specifier) => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')));
}

/** The lock's key of package `name` as the package at `from` would resolve it. */
function resolveIn(lock: Lock, from: string, name: string): string | undefined {
  for (let at = from; ; at = at.replace(/(^|\/)node_modules\/(@[^/]+\/)?[^/]+$/, '')) {
    const key = `${at === '' ? '' : `${at}/`}node_modules/${name}`;
    if (lock[key]) return key;
    if (at === '') return undefined;
  }
}

/** The table in Markdown: every shipped library, in the window's bundle or beside it, once per name, version and licence. */
export function librariesTable(root: string): string {
  const lock = lockSchema.parse(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))).packages;
  const shipped = new Set(Object.keys(lock).filter((key) => key !== '' && !lock[key]?.dev));
  const queue = [...importedPackages(join(root, 'src-renderer'))].flatMap((name) => resolveIn(lock, '', name) ?? []);
  for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
    shipped.add(key);
    const from = key;
    const next = Object.keys(lock[key]?.dependencies ?? {}).flatMap((name) => resolveIn(lock, from, name) ?? []);
    queue.push(...next.filter((dependency) => !shipped.has(dependency)));
  }
  const rows = [...shipped].flatMap((key) => {
    const name = key.slice(key.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const { version = '', license = 'see its own files' } = lock[key] ?? {};
    return notShipped.test(name) || name.startsWith('@types/') ? [] : [`| ${name} | ${version} | ${license} |`];
  });
  return ['| library | version | licence |', '|---|---|---|', ...[...new Set(rows)].sort()].join('\n');
}

/** `text` with the part between the table's markers replaced. */
export function withTable(text: string, table: string): string {
  const [before, rest = ''] = text.split('<!-- libraries -->\n');
  const after = rest.slice(rest.indexOf('<!-- /libraries -->'));
  return `${before}<!-- libraries -->\n\n${table}\n\n${after}`;
}

if (import.meta.main) {
  const root = resolve(import.meta.dirname, '..');
  const file = join(root, 'THIRD-PARTY.md');
  writeFileSync(file, withTable(readFileSync(file, 'utf8'), librariesTable(root)));
}
