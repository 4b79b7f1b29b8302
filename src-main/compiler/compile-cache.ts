import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { errnoCode } from '#main/lib/errno-code.ts';
import { writeFileDurably } from '#main/lib/write-file.ts';

/** Raised whenever the same checkpoint would compile to something else. */
export const COMPILER_VERSION = 1;

/** Written last into a compiled folder: where it is, the folder is whole. */
export const MANIFEST = 'compiled.json';

export interface Work {
  /** The folder to write into. */
  writeDir: string;
  /** Where that folder will stand when all is written. */
  finalDir: string;
}

/**
 * The result of `compile` for this key, made once: the folder is written beside its place, its manifest last, and then renamed, so that
 * whatever stands there is whole. Two processes may compile at once; the last to finish stays.
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

  const writeDir = join(cacheDir, `.${key}-${randomUUID()}`);
  await mkdir(writeDir, { recursive: true });
  try {
    const result = await compile({ writeDir, finalDir });
    await writeFileDurably(join(writeDir, MANIFEST), Buffer.from(JSON.stringify(result, null, 2)));
    await rm(finalDir, { recursive: true, force: true });
    await rename(writeDir, finalDir);
    return result;
  } catch (error) {
    await rm(writeDir, { recursive: true, force: true });
    throw error;
  }
}

/** What stands in a compiled folder, or null where there is none or where this version cannot read it. */
async function readManifest<S extends z.ZodType>(dir: string, schema: S): Promise<z.infer<S> | null> {
  let text: string;
  try {
    text = await readFile(join(dir, MANIFEST), 'utf8');
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return null;
    throw error;
  }
  const onnxPaths: string[] = [];
  const manifest: unknown = JSON.parse(text, (key, value: unknown) => {
    if (key === 'onnxPath' && typeof value === 'string') onnxPaths.push(value);
    return value;
  });
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
