#!/usr/bin/env node
// Makes a .deb with dpkg-deb, so that electron-builder does not download its own tool: CUSTOM_FPM_PATH=scripts/deb-builder.mjs
// DEB_COMPRESSION_LEVEL sets the compressor's level. Accepts electron-builder's arguments: options with a value, flags, and SOURCE=/TARGET pairs. Refuses anything else.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const flags = new Set(['--force', '--debug']);
const withValue = new Set(
  [
    '-s',
    '-t',
    '-d',
    '--log',
    '--architecture',
    '--after-install',
    '--after-remove',
    '--description',
    '--version',
    '--package',
    '--name',
    '--maintainer',
    '--vendor',
    '--url',
    '--category',
  ].concat(['--deb-priority', '--deb-recommends', '--deb-compression', '--license']),
);

/** Names that differ between electron-builder and dpkg-deb. @type {Record<string, string>} */
const dpkgNames = { gz: 'gzip', zst: 'zstd' };

/** @type {Map<string, string[]>} */
const options = new Map();
/** @type {Array<{ source: string, target: string }>} */
const pairs = [];
for (let rest = process.argv.slice(2); rest.length > 0; ) {
  const [argument = '', value = ''] = rest;
  if (flags.has(argument)) rest = rest.slice(1);
  else if (withValue.has(argument)) {
    options.set(argument, [...(options.get(argument) ?? []), value]);
    rest = rest.slice(2);
  } else if (!argument.startsWith('-') && argument.includes('=')) {
    const at = argument.lastIndexOf('=');
    pairs.push({ source: argument.slice(0, at), target: argument.slice(at + 1) });
    rest = rest.slice(1);
  } else throw new Error(`deb-builder: unknown argument ${argument}`);
}
const first = (/** @type {string} */ name) => options.get(name)?.[0];
if (first('-t') !== 'deb') throw new Error(`deb-builder makes deb only, not ${first('-t')}`);

const tree = mkdtempSync(join(tmpdir(), 'deb-'));
try {
  chmodSync(tree, 0o755); // the archive records it for /, and mkdtemp makes it private
  for (const { source, target } of pairs) {
    const destination = join(tree, target);
    mkdirSync(dirname(destination), { recursive: true });
    cpSync(source, destination, { recursive: true, verbatimSymlinks: true });
    // as fpm does: a program such as /usr/bin/zimage stays one
    if (statSync(source).isFile()) chmodSync(destination, statSync(source).mode & 0o111 ? 0o755 : 0o644);
  }
  const kilobytes = execFileSync('du', ['-sk', tree], { encoding: 'utf8' }).split('\t')[0];
  const [synopsis = first('--name'), ...description] = (first('--description') ?? '').split('\n').flatMap((line) => line.trim() || []);
  const fields = {
    Package: first('--name'),
    Version: first('--version'),
    License: first('--license'),
    Vendor: first('--vendor'),
    Architecture: first('--architecture'),
    Maintainer: first('--maintainer'),
    'Installed-Size': kilobytes,
    Depends: options.get('-d')?.join(', '),
    Recommends: options.get('--deb-recommends')?.join(', '),
    Section: first('--category') ?? 'graphics',
    Priority: first('--deb-priority') ?? 'optional',
    Homepage: first('--url'),
    Description: [synopsis, ...description.map((line) => ` ${line}`)].join('\n'),
  };
  mkdirSync(join(tree, 'DEBIAN'));
  const control = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : `${name}: ${value}\n`));
  writeFileSync(join(tree, 'DEBIAN/control'), control.join(''));
  for (const [option, script] of [
    ['--after-install', 'postinst'],
    ['--after-remove', 'postrm'],
  ]) {
    const file = first(option);
    if (file) writeFileSync(join(tree, 'DEBIAN', script), readFileSync(file), { mode: 0o755 });
  }
  const wanted = first('--deb-compression') ?? 'xz';
  const { DEB_COMPRESSION_LEVEL: level } = process.env;
  const compression = [`-Z${dpkgNames[wanted] ?? wanted}`, ...(level ? [`-z${level}`] : [])];
  execFileSync('dpkg-deb', ['--root-owner-group', ...compression, '--build', tree, first('--package') ?? ''], { stdio: 'inherit' });
} finally {
  rmSync(tree, { recursive: true, force: true });
}
