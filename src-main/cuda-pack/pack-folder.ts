import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { checkpointReadError, isOutOfDescriptors } from '#main/lib/checkpoint-read-error.ts';
import { errnoCode } from '#main/lib/errno-code.ts';
import { renameDurably, replaceFile } from '#main/lib/write-file.ts';
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
  /** When the licences were accepted, ISO 8601, and the addresses of their texts. */
  accepted_at: z.string(),
  licences: z.array(z.string()),
});
export type PackManifest = z.infer<typeof manifestSchema>;

export const MANIFEST = 'manifest.json';
/** Marks a pack whose files failed verification. */
const DAMAGE = 'damaged.json';
/** The suffix of a folder that is being removed. */
const REMOVED = '.removed';
/** The suffix of a folder that is not complete. */
const PART = '.part';

const damageSchema = z.object({ message: z.string() });

/** The folder of all packs in a data folder. */
export function packsDirOf(dataDir: string): string {
  return join(dataDir, 'cuda');
}

/** Where a pack is downloaded and unpacked until it is complete. */
export function draftDirOf(packsDir: string, version: string): string {
  return join(packsDir, `${version}${PART}`);
}

/** The pack in `dir`, or null. Throws `cuda_pack_damaged` if a file is missing, has another size, or failed verification, and `too_many_open_files`. */
export function readPack(dir: string): PackManifest | null {
  const damage = readJson(join(dir, DAMAGE));
  if (damage !== null) {
    const parsed = damageSchema.safeParse(damage);
    throw parsed.success ? new AppError('cuda_pack_damaged', parsed.data.message, { file: dir }) : damagedPack(dir, 'failed verification');
  }
  const path = join(dir, MANIFEST);
  const content = readJson(path);
  if (content === null) return null;
  const manifest = manifestSchema.safeParse(content);
  if (!manifest.success) throw damagedPack(path, 'is not a manifest that this version can read', manifest.error);
  for (const { name, size_bytes } of manifest.data.files) assertSize(join(dir, name), size_bytes);
  return manifest.data;
}

/** Every complete pack, with its folder. */
export function listPacks(packsDir: string): { dir: string; manifest: PackManifest }[] {
  return names(packsDir).flatMap((name) => {
    if (name.endsWith(PART) || name.endsWith(REMOVED)) return [];
    const dir = join(packsDir, name);
    try {
      const manifest = readPack(dir);
      return manifest === null ? [] : [{ dir, manifest }];
    } catch (thrown) {
      if (thrown instanceof AppError && thrown.code === 'cuda_pack_damaged') return []; // reported when that pack is used
      throw thrown;
    }
  });
}

/** The folder of the pack for an engine process with this version of ONNX Runtime, or null. */
export function findPack(packsDir: string, onnxruntime: string): string | null {
  const fitting = listPacks(packsDir).filter(({ manifest }) => manifest.onnxruntime === onnxruntime);
  return fitting.sort((a, b) => a.manifest.version.localeCompare(b.manifest.version)).at(-1)?.dir ?? null;
}

/** Marks a pack as damaged, so that no engine is started with it. */
export async function markPackDamaged(dir: string, { message }: AppError): Promise<void> {
  await replaceFile(join(dir, DAMAGE), Buffer.from(`${JSON.stringify({ message })}\n`));
}

/** Removes a pack atomically, and what an earlier removal left when it was killed. */
export async function removePack(packsDir: string, name: string): Promise<void> {
  const dir = join(packsDir, name);
  if (existsSync(dir)) await renameDurably(dir, join(packsDir, `${name}.${Date.now()}${REMOVED}`));
  for (const leftover of names(packsDir).filter((other) => other.endsWith(REMOVED))) await rm(join(packsDir, leftover), { recursive: true, force: true });
}

/** Hashes every file. Throws `cuda_pack_damaged` or the signal's reason. @param onBytes Called with the bytes hashed so far. */
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
    if (hash.digest('hex') !== sha256) throw damagedPack(path, 'failed hash verification');
  }
}

export function packBytes({ files }: PackManifest): number {
  return files.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
}

function assertSize(path: string, bytes: number): void {
  const found = statSync(path, { throwIfNoEntry: false })?.size;
  if (found === undefined) throw damagedPack(path, 'is missing');
  if (found !== bytes) throw damagedPack(path, `has ${found} bytes instead of ${bytes}`);
}

/** Null if there is no such file; invalid JSON is returned as text, which fits no schema. */
function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoCode(cause))) return null;
    if (isOutOfDescriptors(cause)) throw checkpointReadError(cause, path, '');
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
  } catch (cause) {
    if (isOutOfDescriptors(cause)) throw checkpointReadError(cause, packsDir, '');
    return []; // nothing was installed
  }
}
