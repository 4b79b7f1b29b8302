import { closeSync, openSync, rmSync, statSync } from 'node:fs';
import { copyFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeFolder } from '#main/lib/make-folder.ts';
import { diskError, renameDurably } from '#main/lib/write-file.ts';
import { AppError } from '#shared/protocol/errors.ts';

/** Makes sure that the file `path` can be written later, and creates its folder where it is missing. Throws `folder_not_writable`, `bad_option` for a folder. */
export async function assertWritable(path: string): Promise<void> {
  const probe = `${path}.part`;
  try {
    makeFolder(dirname(path));
    closeSync(openSync(probe, 'a'));
    rmSync(probe, { force: true });
  } catch (cause) {
    throw await diskError(cause, path, 0);
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new AppError('bad_option', `--out ${path} is a folder. Name a file, such as ${path}/image.png.`, { option: '--out' });
}

/** Moves the finished file `draft` to `path`, over a file that is there. Where that fails `draft` stays, and the error names it. */
export async function saveResult(draft: string, path: string): Promise<void> {
  const part = `${path}.part`;
  try {
    makeFolder(dirname(path));
    // copied and not moved: the draft stays if a later step fails, and may be on another disk
    await copyFile(draft, part);
    await renameDurably(part, path);
  } catch (cause) {
    await rm(part, { force: true }).catch(() => {}); // the error that matters is the one that is thrown
    const { message } = cause instanceof AppError ? cause : await diskError(cause, path, 0);
    throw new AppError('folder_not_writable', `${message} The image is kept in ${draft}.`, { folder: dirname(path) }, { cause });
  }
  await rm(draft, { force: true });
}
