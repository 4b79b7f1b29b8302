import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { errnoCode } from '#main/lib/errno-code.ts';
import { renameDurably, writeFileDurably } from '#main/lib/write-file.ts';

/** Raised whenever the same checkpoint would compile to something else. */
export const COMPILER_VERSION = 8;

/** Written last into a compiled folder: where it is, the folder is whole. */
const MANIFEST = 'compiled.json';

export interface Work {
  /** The folder to write into. */
  writeDir: string;
  /** Where that folder will stand when all is written. */
  finalDir: string;
}

/**
 * The result of `compile` for this key, made once: the folder is written beside its place, its manifest last, and then renamed, so that whatever stands
 * there is whole. Two processes may compile at once; the first to finish stays, and what it made is not touched any more.
 */
export async function compiledOnce<S extends z.ZodType>(
  cacheDir: string,
  keyParts: readonly string[],
  schema: S,
  compile: (work: Work) => Promise<z.infer<S>>,
): Promise<z.infer<S>> {
  const key = createHash('sha256')
    .update(JSON.stringify([COMPILER_VERSION, ...keyParts]))
    .digest('hex')
    .slice(0, 32);
  const finalDir = join(cacheDir, key);
  const known = await readManifest(finalDir, schema);
  if (known !== null) return known;

  await removeAbandoned(cacheDir);
  const writeDir = join(cacheDir, `.${key}-${process.pid}-${randomUUID()}`);
  await mkdir(writeDir, { recursive: true });
  try {
    const result = await compile({ writeDir, finalDir });
    await writeFileDurably(join(writeDir, MANIFEST), Buffer.from(JSON.stringify(result, null, 2)));
    return await putInPlace(writeDir, finalDir, () => readManifest(finalDir, schema), result);
  } finally {
    await rm(writeDir, { recursive: true, force: true });
  }
}

/** What stands in `finalDir` afterwards: ours, or what another process has put there meanwhile. Something that cannot be used makes room. */
async function putInPlace<T>(writeDir: string, finalDir: string, readTheirs: () => Promise<T | null>, ours: T): Promise<T> {
  try {
    await renameDurably(writeDir, finalDir);
    return ours;
  } catch (thrown) {
    // a folder that is not empty is in the way of a rename
    if (!existsSync(finalDir)) throw thrown;
  }
  const theirs = await readTheirs();
  if (theirs !== null) return theirs;
  const unusable = `${writeDir}-unusable`;
  await rename(finalDir, unusable);
  await rm(unusable, { recursive: true, force: true });
  await renameDurably(writeDir, finalDir);
  return ours;
}

/** Folders that were being written by processes that are no more. */
async function removeAbandoned(cacheDir: string): Promise<void> {
  for (const name of existsSync(cacheDir) ? await readdir(cacheDir) : []) {
    const pid = /^\.[0-9a-f]{32}-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) await rm(join(cacheDir, name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (thrown) {
    // somebody else's process runs too
    return errnoCode(thrown) === 'EPERM';
  }
}

/** What stands in a compiled folder, or null where there is none or where this version cannot read it. */
export async function readManifest<S extends z.ZodType>(dir: string, schema: S): Promise<z.infer<S> | null> {
  const onnxPaths: string[] = [];
  let manifest: unknown;
  try {
    manifest = JSON.parse(await readFile(join(dir, MANIFEST), 'utf8'), (key, value: unknown) => {
      if (key === 'onnxPath' && typeof value === 'string') onnxPaths.push(value);
      return value;
    });
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || error instanceof SyntaxError) return null;
    throw error;
  }
  const parsed = schema.safeParse(manifest);
  if (!parsed.success) return null;
  const present = await Promise.all(onnxPaths.map(isFile));
  return present.every((there) => there) ? parsed.data : null;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false;
    throw error;
  }
}
