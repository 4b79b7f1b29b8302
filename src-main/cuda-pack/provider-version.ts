import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { damagedPack } from './damaged-pack.ts';

const LONGEST = 32;

/**
 * ONNX Runtime does not check the version of a provider library, and another version is undefined behaviour. The library contains its version
 * between two zero bytes. Throws `cuda_pack_damaged`.
 */
export async function assertProviderVersion(path: string, version: string): Promise<void> {
  const mark = Buffer.from(`\0${version}\0`, 'latin1');
  let carried = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    const bytes = Buffer.concat([carried, chunk]);
    if (bytes.includes(mark)) return;
    carried = bytes.subarray(-LONGEST);
  }
  throw damagedPack(basename(path), `is not for ONNX Runtime ${version}, which this program uses`);
}
