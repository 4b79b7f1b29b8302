import { readFile, realpath, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { quoteValue } from '#main/lib/quote-value.ts';
import { AppError } from '#shared/protocol/errors.ts';

const MAX_BYTES = 128 * 1024 * 1024;

/**
 * A reader of image files for a host's model, which may be misled by what it reads: only files in `folders`, links followed, and none in a hidden folder.
 * Throws `bad_param`, `unknown_image`.
 */
export function createLocalImageReader(folders: readonly string[]): (path: string) => Promise<Uint8Array<ArrayBuffer>> {
  return async (text) => {
    const path = text.startsWith('file:') ? fileURLToPath(text) : resolve(text.replace(/^~(?=[/\\])/, homedir()));
    const real = await realpath(path).catch((cause: unknown) => {
      throw new AppError('unknown_image', `There is no file ${quoteValue(path)}.`, { field: 'image' }, { cause });
    });
    const roots = await Promise.all(folders.map((folder) => realpath(folder).catch(() => null))); // a folder that is missing allows nothing
    if (!roots.some((root) => root !== null && isInside(root, real))) {
      const message = `${quoteValue(path)} is not in a folder that may be read: ${folders.join(', ')}. Name more with --folder.`;
      throw new AppError('bad_param', message, { field: 'image' });
    }
    const found = await stat(real);
    if (!found.isFile() || found.size > MAX_BYTES)
      throw new AppError('bad_param', `${quoteValue(path)} is no file of at most ${MAX_BYTES} bytes.`, { field: 'image' });
    return new Uint8Array(await readFile(real));
  };
}

function isInside(root: string, path: string): boolean {
  const inner = relative(root, path);
  return inner !== '' && !isAbsolute(inner) && inner.split(sep).every((part) => !part.startsWith('.'));
}
