import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { damagedPack } from './damaged-pack.ts';

const LONGEST = 32;

/**
 * ONNX Runtime loads a provider library of another version without a word, and what follows is undefined; so the version is looked for in the library itself,
 * where it stands between two zero bytes. Throws `cuda_pack_damaged`.
 */
export async function assertProviderVersion(path: string, version: string): Promise<void> {
  const mark = Buffer.from(`\0${version}\0`, 'latin1');
  let carried = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    const bytes = Buffer.concat([carried, chunk]);
    if (bytes.includes(mark)) return;
    carried = bytes.subarray(-LONGEST);
  }
  throw damagedPack(basename(path), `is not of ONNX Runtime ${version}, which this program runs on`);
}
