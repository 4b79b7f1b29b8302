// Writes SHA256SUMS over the files of a folder, in the format of `sha256sum --check`: node scripts/checksums.ts FOLDER
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

const SUMS = 'SHA256SUMS';

/** Replaces the folder's SHA256SUMS; returns its text: a line per file, sorted by name. Throws if the folder is empty. */
export async function writeChecksums(folder: string): Promise<string> {
  const files = readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isFile() && entry.name !== SUMS ? [entry.name] : []));
  if (files.length === 0) throw new Error(`${folder} contains no files`);
  const lines: string[] = [];
  for (const file of files.sort()) {
    const hash = createHash('sha256');
    await pipeline(createReadStream(join(folder, file)), hash);
    lines.push(`${hash.digest('hex')}  ${file}\n`);
  }
  writeFileSync(join(folder, SUMS), lines.join(''));
  return lines.join('');
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error('usage: node scripts/checksums.ts FOLDER');
  process.stdout.write(await writeChecksums(folder));
}
