import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { checkpointReadError } from '#main/lib/checkpoint-read-error.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { type JsonFileLog, openJsonFile } from '#main/lib/json-file.ts';
import { unlessMissing } from '#main/lib/unless-missing.ts';
import { AppError } from '#shared/protocol/errors.ts';

export interface HashedFile {
  sizeBytes: number;
  /** 64 hex digits. */
  sha256: string;
}

export interface FileHashes {
  /** Size and content hash; an unchanged file is not read again. Throws `checkpoint_missing`, `checkpoint_damaged` or `too_many_open_files`. */
  hashOf(path: string): Promise<HashedFile>;
  /** Stores the hash of a file that was hashed while it was written. */
  set(path: string, sha256: string): Promise<void>;
  /** Makes the next `hashOf` read the file again. */
  forget(path: string): Promise<void>;
  /** Writes new hashes to the disk. A failure is only logged: the hashes can be computed again. */
  save(): Promise<void>;
}

const rememberedSchema = z.object({ size: z.string(), mtimeNs: z.string(), inode: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
type Remembered = z.infer<typeof rememberedSchema>;

const ATTEMPTS = 3;

/** A cache of content hashes in the file `cachePath`, by real path, size, modification time and inode, so that gigabytes are hashed once. */
export function openFileHashes(cachePath: string, log: JsonFileLog): FileHashes {
  const file = openJsonFile(cachePath, { fields: { files: z.record(z.string(), rememberedSchema) }, defaults: { files: {} }, log });
  const cached = new Map(Object.entries(file.value.files));
  const running = new Map<string, Promise<HashedFile>>();
  let saving: Promise<void> = Promise.resolve();
  let hasUnsaved = false;

  async function hash(path: string): Promise<HashedFile> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = await stampOf(path);
      const known = cached.get(path);
      if (known !== undefined && isSame(known, before)) return { sizeBytes: Number(known.size), sha256: known.sha256 };
      const sha256 = await contentHash(path);
      // the file was written meanwhile
      if (!isSame(await stampOf(path), before)) continue;
      cached.set(path, { ...before, sha256 });
      hasUnsaved = true;
      return { sizeBytes: Number(before.size), sha256 };
    }
    throw new AppError('checkpoint_damaged', `${path} is being changed. Wait until it is complete and try again.`, { path });
  }

  async function write(): Promise<void> {
    if (!hasUnsaved) return;
    hasUnsaved = false;
    try {
      await file.change((draft) => {
        draft.files = Object.fromEntries([...cached].sort(([a], [b]) => (a < b ? -1 : 1)));
      });
    } catch (cause) {
      hasUnsaved = true;
      log.warn({ path: cachePath, cause: errnoCode(cause) }, 'the hashes of checkpoint files cannot be saved');
    }
  }

  return {
    async hashOf(path) {
      const real = await realPathOf(path);
      const started = running.get(real) ?? hash(real).finally(() => running.delete(real));
      running.set(real, started);
      return started;
    },
    async set(path, sha256) {
      const real = await realPathOf(path);
      cached.set(real, { ...(await stampOf(real)), sha256 });
      hasUnsaved = true;
    },
    async forget(path) {
      const real = await unlessMissing(realpath(path), null);
      if (real !== null) hasUnsaved = cached.delete(real) || hasUnsaved;
    },
    save() {
      saving = saving.then(write);
      return saving;
    },
  };
}

type Stamp = Omit<Remembered, 'sha256'>;

async function stampOf(path: string): Promise<Stamp> {
  const found = await stat(path, { bigint: true }).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  return { size: String(found.size), mtimeNs: String(found.mtimeNs), inode: String(found.ino) };
}

function isSame(a: Stamp, b: Stamp): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.inode === b.inode;
}

async function contentHash(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  return hash.digest('hex');
}

async function realPathOf(path: string): Promise<string> {
  return realpath(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
}

function unreadable(path: string, cause: unknown): AppError {
  return checkpointReadError(cause, path, `Check that ${dirname(path)} is complete.`);
}
