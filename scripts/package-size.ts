// Builds the app and its deb as shipped, prints the largest parts, and writes the sizes into the READMEs: npm run package-size
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { testElectron } from './test-electron.ts';

/** Limit of the unpacked app's size. Electron takes 240 MB, the bundled weights 84, ONNX Runtime 46. */
export const PACKAGE_BUDGET_MB = 450;

/** In 10^6 bytes. */
export interface PackageSizes {
  debMegabytes: number;
  unpackedMegabytes: number;
  electron: string;
}

const root = resolve(import.meta.dirname, '..');
const section = /<!-- package-size -->.*?<!-- \/package-size -->/s;

const parts: ReadonlyArray<readonly [name: string, path: RegExp]> = [
  ['bundled checkpoints and upscalers', /^resources\/app-resources\//],
  ['ONNX Runtime', /node_modules\/onnxruntime-node\//],
  ['other native modules', /^resources\/app\.asar\.unpacked\//],
  ['our program and its libraries', /^resources\//],
  ['Electron', /^/],
];

function sizesBelow(folder: string): Array<readonly [file: string, bytes: number]> {
  const all = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => [file, lstatSync(join(folder, file))] as const);
  return all.flatMap(([file, stats]) => (stats.isFile() ? [[file, stats.size] as const] : []));
}

/** Total of all files below `folder`, in 10^6 bytes. */
export function unpackedMegabytes(folder: string): number {
  return sizesBelow(folder).reduce((sum, [, bytes]) => sum + bytes, 0) / 1e6;
}

/** The sizes in a README. Throws if it has none. */
export function sizesIn(readme: string): PackageSizes {
  const text = section.exec(readme)?.[0] ?? '';
  const [deb, unpacked] = [...text.matchAll(/(\d+) MB/g)].map((match) => Number(match[1]));
  const electron = /Electron ([\d.]+\d)/.exec(text)?.[1];
  if (deb === undefined || unpacked === undefined || electron === undefined)
    throw new Error('the README has no sizes between <!-- package-size --> and <!-- /package-size -->: npm run package-size writes them');
  return { debMegabytes: deb, unpackedMegabytes: unpacked, electron };
}

function report(folder: string): string {
  const totals = new Map(parts.map(([name]) => [name, 0]));
  for (const [file, bytes] of sizesBelow(folder)) {
    const [name] = parts.find(([, path]) => path.test(file)) ?? ['Electron'];
    totals.set(name, (totals.get(name) ?? 0) + bytes);
  }
  return [...totals].map(([name, bytes]) => `${(bytes / 1e6).toFixed(1).padStart(7)} MB  ${name}\n`).join('');
}

function main(): void {
  const { distDir, version } = testElectron();
  const folder = mkdtempSync(join(tmpdir(), 'package-size-'));
  try {
    const args = ['-c', 'electron-builder.config.mjs', '--publish', 'never', '--linux', 'dir', 'deb', `--config.directories.output=${folder}`];
    const env = { ...process.env, ELECTRON_DIST: distDir, ELECTRON_VERSION: version, CUSTOM_FPM_PATH: join(root, 'scripts/deb-builder.mjs') };
    execFileSync(process.execPath, [join(root, 'node_modules/.bin/electron-builder'), ...args], { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] });
    const app = join(folder, 'linux-unpacked');
    const deb = readdirSync(folder).find((file) => file.endsWith('.deb')) ?? '';
    const [packed, unpacked] = [statSync(join(folder, deb)).size / 1e6, unpackedMegabytes(app)].map(Math.round);
    process.stdout.write(`${report(app)}${String(unpacked).padStart(5)}   MB  in all; the deb is ${packed} MB\n`);
    for (const [file, sentence] of [
      ['README.md', `The deb for x64 is ${packed} MB and takes ${unpacked} MB installed (with Electron ${version}; by \`npm run package-size\`).`],
      ['README.zh-CN.md', `x64 的 deb 包为 ${packed} MB，安装后占用 ${unpacked} MB（Electron ${version}；由 \`npm run package-size\` 测得）。`],
    ] as const) {
      const text = readFileSync(join(root, file), 'utf8');
      writeFileSync(join(root, file), text.replace(section, `<!-- package-size -->\n${sentence}\n<!-- /package-size -->`));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) main();
