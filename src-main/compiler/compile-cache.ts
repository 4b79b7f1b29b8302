import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import type { GraphTarget } from '#main/lib/compiled.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { diskError, renameDurably, replaceFile } from '#main/lib/write-file.ts';

/** Raised whenever the same checkpoint would compile to something else. */
export const COMPILER_VERSION = 13;

/** Written last: a folder that has it is complete. */
const MANIFEST = 'compiled.json';
const manifestSchema = z.object({
  compilerVersion: z.literal(COMPILER_VERSION),
  identity: z.string(),
  target: z.string(),
  /** The folder's own path. Graphs refer to their weights by it, so a copy of the folder cannot be used. */
  dir: z.string(),
  files: z.array(z.object({ name: z.string(), sizeBytes: z.number(), crc32: z.number() })),
  result: z.unknown(),
});
type Manifest = z.infer<typeof manifestSchema>;

export interface CompileKey {
  /** Hash of the weights' content. */
  identity: string;
  target: GraphTarget;
  /** Where the weights are, links resolved. */
  source: string;
  /** Distinguishes several compilations for one target. */
  variant: string;
}

export interface Work {
  /** The folder to write into. */
  writeDir: string;
  /** The path of that folder once it is complete. */
  finalDir: string;
}

/** Folders that this process is writing. */
const inProgress = new Set<string>();

/**
 * The result of `compile` for `key`, from the cache where an intact one exists. Every complete folder has a name of its own, so processes that compile the
 * same checkpoint at once never touch each other's files. A damaged folder is removed and compiled again under its name; `onDamaged` gets the reason.
 */
export async function compiledOnce<S extends z.ZodType>(
  cacheDir: string,
  key: CompileKey,
  schema: S,
  compile: (work: Work) => Promise<z.infer<S>>,
  onDamaged: (reason: string) => void,
): Promise<z.infer<S>> {
  const { identity, target, source, variant } = key;
  const prefix = createHash('sha256')
    .update(JSON.stringify([COMPILER_VERSION, identity, target, source, variant]))
    .digest('hex')
    .slice(0, 32);
  const id = randomUUID();
  let finalName = `${prefix}-${id.slice(0, 8)}`;
  for (const name of await completeFolders(cacheDir)) {
    if (!name.startsWith(prefix)) continue;
    const damage = await findDamage(join(cacheDir, name), schema);
    if (typeof damage !== 'string') return damage.result;
    onDamaged(damage);
    if (await removeUnlessInUse(join(cacheDir, name))) finalName = name;
  }

  await removeAbandoned(cacheDir);
  const writeName = `.${prefix}-${process.pid}-${id}`;
  const writeDir = join(cacheDir, writeName);
  const finalDir = join(cacheDir, finalName);
  inProgress.add(writeName);
  await mkdir(writeDir, { recursive: true }).catch(async (cause: unknown) => {
    throw await diskError(cause, writeDir, 0);
  });
  try {
    const result = await compile({ writeDir, finalDir });
    for (const name of await completeFolders(cacheDir)) {
      const other = name.startsWith(prefix) ? await readResult(join(cacheDir, name), schema) : null;
      if (other !== null) return other;
    }
    const files = await Promise.all((await readdir(writeDir)).map((name) => describeFile(writeDir, name)));
    const manifest: Manifest = { compilerVersion: COMPILER_VERSION, identity, target, dir: finalDir, files, result };
    await replaceFile(join(writeDir, MANIFEST), Buffer.from(JSON.stringify(manifest, null, 2)));
    try {
      await renameDurably(writeDir, finalDir);
    } catch (error) {
      // another that found the same damage may have been faster
      const other = await readResult(finalDir, schema);
      if (other === null) throw error;
      return other;
    }
    return result;
  } finally {
    await removeUnlessInUse(writeDir);
    inProgress.delete(writeName);
  }
}

/**
 * The result of an earlier compilation for `target`, for any target if `target` is null; null without one that has all its files. Checks the sizes of
 * files, not their content.
 */
export async function findCompiled<S extends z.ZodType>(
  cacheDir: string,
  { identity, target }: { identity: string; target: GraphTarget | null },
  schema: S,
): Promise<z.infer<S> | null> {
  for (const name of await completeFolders(cacheDir)) {
    const manifest = await readManifest(join(cacheDir, name));
    if (manifest?.identity !== identity || (target !== null && manifest.target !== target)) continue;
    const result = await readResult(join(cacheDir, name), schema);
    if (result !== null) return result;
  }
  return null;
}

/** The folder's result, or null where it has none or where the sizes of its files differ. */
async function readResult<S extends z.ZodType>(dir: string, schema: S): Promise<z.infer<S> | null> {
  const manifest = await readManifest(dir);
  const parsed = schema.safeParse(manifest?.result);
  return manifest !== null && parsed.success && (await findMismatch(dir, manifest)) === null ? parsed.data : null;
}

/** Removes compiled folders of other compiler versions, and those that `keep` does not want. Files of others in `cacheDir` stay. */
export async function pruneCompiled(cacheDir: string, keep: (compiled: { identity: string; target: string }) => boolean): Promise<void> {
  for (const name of await completeFolders(cacheDir)) {
    const manifest = await readManifest(join(cacheDir, name));
    if (manifest === null || !keep(manifest)) await removeUnlessInUse(join(cacheDir, name));
  }
  await removeAbandoned(cacheDir);
}

/** Names of folders that hold, or once held, a complete compilation. */
async function completeFolders(cacheDir: string): Promise<string[]> {
  return (await list(cacheDir)).filter((name) => /^[0-9a-f]{32}(-[0-9a-f]{8})?$/.test(name)).sort();
}

async function list(cacheDir: string): Promise<string[]> {
  try {
    return await readdir(cacheDir);
  } catch (error) {
    // where the folder cannot be made, mkdir says so
    if (['ENOENT', 'ENOTDIR'].includes(errnoCode(error))) return [];
    throw await diskError(error, cacheDir, 0);
  }
}

/** The folder's content parsed, or why it cannot be used. Reads every file. */
async function findDamage<S extends z.ZodType>(dir: string, schema: S): Promise<{ result: z.infer<S> } | string> {
  const manifest = await readManifest(dir);
  if (manifest === null) return `${join(dir, MANIFEST)} is missing or cannot be read`;
  const parsed = schema.safeParse(manifest.result);
  if (!parsed.success) return `${join(dir, MANIFEST)} has unknown fields`;
  const mismatch = await findMismatch(dir, manifest);
  if (mismatch !== null) return mismatch;
  for (const expected of manifest.files) {
    const path = join(dir, expected.name);
    const found = await crc32Of(path).catch((error: unknown) => {
      if (errnoCode(error) === 'EIO') return null;
      throw error;
    });
    if (found !== expected.crc32) return `${path} has another content than the compiler wrote`;
  }
  return { result: parsed.data };
}

/** How the folder differs from its manifest by path and sizes, or null. */
async function findMismatch(dir: string, manifest: Manifest): Promise<string | null> {
  if (manifest.dir !== dir) return `${dir} is a copy of ${manifest.dir}`;
  for (const { name, sizeBytes } of manifest.files) {
    const path = join(dir, name);
    const found = await stat(path).catch((error: unknown) => {
      if (errnoCode(error) === 'ENOENT') return null;
      throw error;
    });
    if (found === null) return `${path} is missing`;
    if (found.size !== sizeBytes) return `${path} has ${found.size} of ${sizeBytes} bytes`;
  }
  return null;
}

/** Null where the folder has no manifest of this compiler version. */
async function readManifest(dir: string): Promise<Manifest | null> {
  try {
    return manifestSchema.parse(JSON.parse(await readFile(join(dir, MANIFEST), 'utf8')));
  } catch (error) {
    const isAbsent = ['ENOENT', 'ENOTDIR', 'EISDIR', 'EIO'].includes(errnoCode(error));
    if (isAbsent || error instanceof SyntaxError || error instanceof z.ZodError) return null;
    throw error;
  }
}

async function describeFile(dir: string, name: string): Promise<Manifest['files'][number]> {
  const path = join(dir, name);
  return { name, sizeBytes: (await stat(path)).size, crc32: await crc32Of(path) };
}

/** A CRC finds accidents, which is what happens to a cache, several times faster than SHA-256. */
async function crc32Of(path: string): Promise<number> {
  let sum = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) sum = crc32(chunk, sum);
  return sum;
}

/** Whether it was removed. Windows refuses to remove files that another process has open; the next prune tries again. */
async function removeUnlessInUse(dir: string): Promise<boolean> {
  try {
    await rm(dir, { recursive: true, force: true });
    return true;
  } catch (error) {
    if (!['EBUSY', 'EPERM', 'EACCES', 'ENOTEMPTY'].includes(errnoCode(error))) throw error;
    return false;
  }
}

/** Removes what processes that have ended were writing. In a container a new process often has the id of the last one. */
async function removeAbandoned(cacheDir: string): Promise<void> {
  for (const name of await list(cacheDir)) {
    const pid = /^\.[0-9a-f]{32}-(\d+)-/.exec(name)?.[1];
    if (pid === undefined) continue;
    const isOurs = Number(pid) === process.pid;
    if (isOurs ? !inProgress.has(name) : !isRunning(Number(pid))) await removeUnlessInUse(join(cacheDir, name));
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (thrown) {
    // EPERM: it runs, as another user
    return errnoCode(thrown) === 'EPERM';
  }
}
