import { crc32 } from 'node:zlib';
import { type Entry, openPromise } from 'yauzl';
import { checkpointReadError, isOutOfDescriptors } from '#main/lib/checkpoint-read-error.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { damagedPack } from './damaged-pack.ts';

const MAX_ENTRIES = 100_000;
/** Larger than every library of a pack. */
const MAX_FILE_BYTES = 2 ** 32;
/** `S_IFMT` and `S_IFLNK` of the Unix mode, in the upper half of the external attributes. */
const [TYPE_MASK, SYMLINK] = [0o170000, 0o120000];

export interface ZipArchive {
  /** Files; folders are left out. */
  readonly entries: readonly Entry[];
  /** The content of a file: never more bytes than its entry says. Throws `cuda_pack_damaged` at the end if size or CRC differ, which yauzl does not check. */
  read(entry: Entry): AsyncGenerator<Buffer>;
  close(): void;
}

/**
 * Opens a zip archive. yauzl refuses absolute paths, `..` and invalid sizes; links, encryption and unknown compression are refused here.
 * Throws `cuda_pack_damaged`. @param name The archive, for messages.
 */
export async function openZip(path: string, name: string): Promise<ZipArchive> {
  const zip = await openPromise(path, { autoClose: false, lazyEntries: true, strictFileNames: true }).catch((cause: unknown) => {
    if (isOutOfDescriptors(cause)) throw checkpointReadError(cause, path, '');
    throw damagedPack(name, 'is not a zip archive', cause);
  });
  const entries: Entry[] = [];
  try {
    if (zip.entryCount > MAX_ENTRIES) throw damagedPack(name, `has more than ${MAX_ENTRIES} files`);
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName.endsWith('/')) continue;
      if (((entry.externalFileAttributes >>> 16) & TYPE_MASK) === SYMLINK) throw damagedPack(name, `has a link in place of ${entry.fileName}`);
      if (!entry.canDecodeFileData()) throw damagedPack(name, `has ${entry.fileName} encrypted or in an unknown compression`);
      if (entry.uncompressedSize > MAX_FILE_BYTES) throw damagedPack(name, `has ${entry.fileName} with ${entry.uncompressedSize} bytes`);
      entries.push(entry);
    }
  } catch (cause) {
    zip.close();
    throw cause instanceof AppError ? cause : damagedPack(name, 'has an invalid directory', cause);
  }

  return {
    entries,
    close: () => zip.close(),
    async *read(entry) {
      let sum = 0;
      let bytes = 0;
      try {
        for await (const chunk of (await zip.openReadStreamPromise(entry)) as AsyncIterable<Buffer>) {
          sum = crc32(chunk, sum);
          bytes += chunk.byteLength;
          yield chunk;
        }
      } catch (cause) {
        throw damagedPack(name, `has a damaged ${entry.fileName}`, cause);
      }
      if (bytes !== entry.uncompressedSize || sum !== entry.crc32) throw damagedPack(name, `has a damaged ${entry.fileName}`);
    },
  };
}
