import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { errnoCode } from '#main/lib/errno-code.ts';
import { renameDurably, writeFileDurably } from '#main/lib/write-file.ts';
import { AppError } from '#shared/protocol/errors.ts';

/** Pino's logger fits. */
export interface ModelsLog {
  warn(fields: Record<string, unknown>, text: string): void;
}

export interface HashedFile {
  sizeBytes: number;
  /** 64 hex digits. */
  sha256: string;
}

export interface FileHashes {
  /** Size and content hash, the hash from memory where the file is the one that was hashed before. Throws `checkpoint_missing` or `checkpoint_damaged`. */
  hashOf(path: string): Promise<HashedFile>;
  /** Takes over the hash of a file that was hashed while it was written. */
  learn(path: string, sha256: string): Promise<void>;
  /** Lets the next `hashOf` read the file again, whatever is remembered. */
  forget(path: string): Promise<void>;
  /** Writes what was hashed since the last call to the disk. Where that fails it is only logged: the hashes are right, and will be made again. */
  save(): Promise<void>;
}

const rememberedSchema = z.object({ size: z.string(), mtimeNs: z.string(), inode: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const memorySchema = z.object({ version: z.literal(1), files: z.record(z.string(), rememberedSchema) });
type Remembered = z.infer<typeof rememberedSchema>;

const ATTEMPTS = 3;

/**
 * Content hashes that are remembered in the file `memoryPath`, by real path, size, time of change and inode, so that gigabytes are hashed once.
 * A memory that cannot be read is started anew.
 */
export function createFileHashes(memoryPath: string, log: ModelsLog): FileHashes {
  let loading: Promise<Map<string, Remembered>> | undefined;
  const running = new Map<string, Promise<HashedFile>>();
  let saving: Promise<void> = Promise.resolve();
  let unsaved = false;

  async function hash(path: string): Promise<HashedFile> {
    loading ??= loadMemory(memoryPath, log);
    const memory = await loading;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = await stampOf(path);
      const known = memory.get(path);
      if (known !== undefined && isSame(known, before)) return { sizeBytes: Number(known.size), sha256: known.sha256 };
      const sha256 = await contentHash(path);
      // a file that was written meanwhile has no hash yet
      if (!isSame(await stampOf(path), before)) continue;
      memory.set(path, { ...before, sha256 });
      unsaved = true;
      return { sizeBytes: Number(before.size), sha256 };
    }
    throw new AppError('checkpoint_damaged', `${path} is being changed while it is read; wait until it is complete and try again.`, { path });
  }

  async function write(): Promise<void> {
    if (!unsaved || loading === undefined) return;
    unsaved = false;
    const files = Object.fromEntries([...(await loading)].sort(([a], [b]) => (a < b ? -1 : 1)));
    const draft = `${memoryPath}.new`;
    try {
      await mkdir(dirname(memoryPath), { recursive: true });
      await writeFileDurably(draft, new TextEncoder().encode(`${JSON.stringify({ version: 1, files }, null, 1)}\n`));
      await renameDurably(draft, memoryPath);
    } catch (cause) {
      unsaved = true;
      log.warn({ path: memoryPath, cause: errnoCode(cause) }, 'the hashes of checkpoints cannot be remembered');
    }
  }

  return {
    async hashOf(path) {
      const real = await realPathOf(path);
      const started = running.get(real) ?? hash(real).finally(() => running.delete(real));
      running.set(real, started);
      return started;
    },
    async learn(path, sha256) {
      const real = await realPathOf(path);
      loading ??= loadMemory(memoryPath, log);
      (await loading).set(real, { ...(await stampOf(real)), sha256 });
      unsaved = true;
    },
    async forget(path) {
      const real = await realPathOf(path);
      loading ??= loadMemory(memoryPath, log);
      (await loading).delete(real);
      unsaved = true;
    },
    save() {
      saving = saving.then(write); // one write at a time
      return saving;
    },
  };
}

async function loadMemory(path: string, log: ModelsLog): Promise<Map<string, Remembered>> {
  try {
    return new Map(Object.entries(memorySchema.parse(JSON.parse(await readFile(path, 'utf8'))).files));
  } catch (cause) {
    if (errnoCode(cause) !== 'ENOENT') log.warn({ path, cause: errnoCode(cause) }, 'the remembered checkpoint hashes cannot be read and are made anew');
    return new Map();
  }
}

type Stamp = Omit<Remembered, 'sha256'>;

async function stampOf(path: string): Promise<Stamp> {
  try {
    const found = await stat(path, { bigint: true });
    return { size: String(found.size), mtimeNs: String(found.mtimeNs), inode: String(found.ino) };
  } catch (cause) {
    throw unreadable(path, cause);
  }
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
  try {
    return await realpath(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): AppError<'checkpoint_missing'> {
  return new AppError('checkpoint_missing', `${path} cannot be read (${errnoCode(cause)}); check that ${dirname(path)} is complete.`, { path }, { cause });
}
