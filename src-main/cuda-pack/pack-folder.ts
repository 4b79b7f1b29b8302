import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errnoCode } from '#main/lib/errno-code.ts';
import { renameDurably, writeFileDurably } from '#main/lib/write-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { damagedPack } from './damaged-pack.ts';

export const packedFileSchema = z.object({
  name: z.string().regex(/^\w[\w.-]*$/),
  size_bytes: z.number().int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
/** A file of a pack as it was unpacked. */
export type PackedFile = z.infer<typeof packedFileSchema>;

const manifestSchema = z.object({
  format: z.literal(1),
  version: z.string(),
  onnxruntime: z.string(),
  source: z.string(),
  files: z.array(packedFileSchema),
  /** When the licences were agreed to, ISO 8601, and where their texts are. */
  accepted_at: z.string(),
  licences: z.array(z.string()),
});
export type PackManifest = z.infer<typeof manifestSchema>;

export const MANIFEST = 'manifest.json';
/** Takes the manifest's place when its files turned out to be others. */
const DAMAGE = 'damaged.json';
/** Ends the name of a folder whose removal was begun. */
const REMOVED = '.removed';
/** Ends the name of a folder that is no pack yet. */
const PART = '.part';

const damageSchema = z.object({ message: z.string() });

/** Where the packs of a data folder are, a folder each. */
export function packsDirOf(dataDir: string): string {
  return join(dataDir, 'cuda');
}

/** Where a pack is fetched and unpacked before it gets its name. */
export function draftDirOf(packsDir: string, version: string): string {
  return join(packsDir, `${version}${PART}`);
}

/** The pack in `dir`, or null where none was finished. Throws `cuda_pack_damaged` where a file of it is missing, has another size, or was found to be another. */
export function readPack(dir: string): PackManifest | null {
  const damage = damageSchema.safeParse(readJson(join(dir, DAMAGE)));
  if (damage.success) throw new AppError('cuda_pack_damaged', damage.data.message, { file: dir });
  const path = join(dir, MANIFEST);
  const content = readJson(path);
  if (content === null) return null;
  const manifest = manifestSchema.safeParse(content);
  if (!manifest.success) throw damagedPack(path, 'is no manifest of a pack', manifest.error);
  for (const { name, size_bytes } of manifest.data.files) assertSize(join(dir, name), size_bytes);
  return manifest.data;
}

/** Every pack that is whole, with its folder. */
export function listPacks(packsDir: string): { dir: string; manifest: PackManifest }[] {
  return names(packsDir).flatMap((name) => {
    if (name.endsWith(PART) || name.endsWith(REMOVED)) return [];
    const dir = join(packsDir, name);
    try {
      const manifest = readPack(dir);
      return manifest === null ? [] : [{ dir, manifest }];
    } catch (thrown) {
      if (thrown instanceof AppError) return []; // it is told where somebody asks for that very pack
      throw thrown;
    }
  });
}

/** The folder of the pack that an engine's process on this version of ONNX Runtime is to be started with, or null. */
export function findPack(packsDir: string, onnxruntime: string): string | null {
  const fitting = listPacks(packsDir).filter(({ manifest }) => manifest.onnxruntime === onnxruntime);
  return fitting.sort((a, b) => a.manifest.version.localeCompare(b.manifest.version)).at(-1)?.dir ?? null;
}

/** Takes a pack back whose files are not what was installed: no engine is started with it any more. */
export async function condemnPack(dir: string, { message }: AppError): Promise<void> {
  await writeFileDurably(join(dir, DAMAGE), new TextEncoder().encode(`${JSON.stringify({ message })}\n`));
}

/** In one step for whoever looks; what an earlier removal left, after a kill, goes with it. */
export async function removePack(packsDir: string, name: string): Promise<void> {
  const dir = join(packsDir, name);
  if (existsSync(dir)) await renameDurably(dir, join(packsDir, `${name}.${Date.now()}${REMOVED}`));
  for (const leftover of names(packsDir).filter((other) => other.endsWith(REMOVED))) await rm(join(packsDir, leftover), { recursive: true, force: true });
}

/** Hashes every file again. Throws `cuda_pack_damaged`, or the signal's reason. @param onBytes Told how many bytes were hashed so far. */
export async function assertHashes(dir: string, manifest: PackManifest, onBytes: (done: number) => void, signal: AbortSignal): Promise<void> {
  let done = 0;
  for (const { name, sha256 } of manifest.files) {
    const path = join(dir, name);
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      done += chunk.byteLength;
      onBytes(done);
    }
    if (hash.digest('hex') !== sha256) throw damagedPack(path, 'has not the bytes that were installed');
  }
}

export function packBytes({ files }: PackManifest): number {
  return files.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
}

function assertSize(path: string, bytes: number): void {
  const found = statSync(path, { throwIfNoEntry: false })?.size;
  if (found === undefined) throw damagedPack(path, 'is not there');
  if (found !== bytes) throw damagedPack(path, `has ${found} bytes instead of ${bytes}`);
}

/** Null where there is no such file; what is no JSON comes as its text, which fits no schema. */
function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoCode(cause))) return null;
    throw damagedPack(path, `cannot be read (${errnoCode(cause)})`, cause);
  }
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function names(packsDir: string): string[] {
  try {
    return readdirSync(packsDir);
  } catch {
    return []; // nothing was ever installed
  }
}
