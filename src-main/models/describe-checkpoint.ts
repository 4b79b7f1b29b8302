import { createHash } from 'node:crypto';
import { access, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { errnoCode } from '#main/lib/errno-code.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { readJsonFile } from '#main/lib/read-json-file.ts';
import { type ModelType, modelTypeSchema } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { FileHashes } from './file-hashes.ts';

const UNKNOWN_LICENSE = 'unknown';

/** The parts of a checkpoint, each a folder. */
export const checkpointParts = ['scheduler', 'text_encoder', 'tokenizer', 'transformer', 'vae'] as const;
/** What a picture can depend on; readmes and samples may come and go. */
export const relevantFile = /^[^.].*\.(json|safetensors|jinja)$/;

export interface CheckpointFacts {
  modelType: ModelType;
  /** SHA-256 over the hashes of all its files. */
  fingerprint: string;
  sizeBytes: number;
  license: string;
  /** Picture sides are multiples of this. */
  sizeUnitPx: number;
}

/** Formats that can run code when they are opened. */
export const pickleFile = /\.(bin|pt|pth|ckpt|pkl|pickle|joblib)$/i;
/** Parts that have weights. */
export const weightParts = ['text_encoder', 'transformer', 'vae'] as const;

/** Looks at a checkpoint folder in Hugging Face layout. Throws `checkpoint_missing`, `checkpoint_damaged` or `checkpoint_unsupported`. */
export async function describeCheckpoint(dir: string, hashes: FileHashes): Promise<CheckpointFacts> {
  const modelType = await modelTypeOf(dir);
  const paths = await relevantPaths(dir);
  const sizeUnitPx = await sizeUnitOf(dir);
  const { fingerprint, sizeBytes } = await fingerprintOf(dir, paths, hashes);
  return { modelType, fingerprint, sizeBytes, license: await licenseOf(dir), sizeUnitPx };
}

/** SHA-256 over path, size and content hash of each file, by path. */
export async function fingerprintOf(dir: string, paths: readonly string[], hashes: FileHashes): Promise<{ fingerprint: string; sizeBytes: number }> {
  const fingerprint = createHash('sha256');
  let sizeBytes = 0;
  for (const path of [...paths].sort()) {
    const file = await hashes.hashOf(join(dir, path));
    fingerprint.update(`${path}\0${file.sizeBytes}\0${file.sha256}\n`);
    sizeBytes += file.sizeBytes;
  }
  return { fingerprint: fingerprint.digest('hex'), sizeBytes };
}

/** Relative, with `/` between folders. Throws `checkpoint_missing` where a part is not there. */
export async function relevantPaths(dir: string): Promise<string[]> {
  const paths = ['model_index.json'];
  for (const part of checkpointParts) {
    for (const name of await listFolder(join(dir, part))) {
      if (relevantFile.test(name)) paths.push(`${part}/${name}`);
    }
  }
  return paths;
}

/**
 * Throws where weights are not all there: `checkpoint_missing` with the name of the first file, or `checkpoint_unsupported` where they are pickles,
 * which are never opened: reading one can run what its author put in.
 */
export async function assertWeights(dir: string): Promise<void> {
  for (const part of weightParts) {
    const names = await listFolder(join(dir, part));
    if (!names.some((name) => name.endsWith('.safetensors'))) {
      const pickle = names.find((name) => pickleFile.test(name));
      if (pickle !== undefined)
        throw unsupported(join(dir, part, pickle), 'this is a pickle file, which can run code when it is opened; weights must be safetensors');
      const path = join(dir, part);
      throw new AppError('checkpoint_missing', `${path} holds no weights; *.safetensors files belong there.`, { path });
    }
    for (const index of names.filter((name) => name.endsWith('.safetensors.index.json'))) {
      const path = join(dir, part, index);
      const parsed = shardIndexSchema.safeParse(await readJsonFile(path));
      if (!parsed.success) throw damaged(path, parsed.error);
      const missing = [...new Set(Object.values(parsed.data.weight_map))].find((shard) => !names.includes(shard));
      if (missing !== undefined)
        throw new AppError('checkpoint_missing', `${join(dir, part, missing)} is not there, and ${index} names it.`, { path: join(dir, part) });
    }
  }
}

const shardIndexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/** Throws `checkpoint_missing` for a folder without a pipeline, `checkpoint_unsupported` for another model or pipeline. */
async function assertZImage(dir: string): Promise<void> {
  const names = await listFolder(dir);
  const index = join(dir, 'model_index.json');
  if (!names.includes('model_index.json')) {
    const config = join(dir, 'config.json');
    const found = names.includes('config.json') ? z.object({ architectures: z.array(z.string()).min(1) }).safeParse(await readJsonFile(config)) : null;
    if (!found?.success) throw new AppError('checkpoint_missing', `${dir} is no checkpoint folder: it has no model_index.json.`, { path: dir });
    throw unsupported(dir, `this folder is a ${found.data.architectures.join(', ')}; a ZImagePipeline with a model_index.json is needed`);
  }
  const { _class_name: pipeline } = z
    .looseObject({ _class_name: z.unknown() })
    .catch({ _class_name: undefined })
    .parse(await readJsonFile(index));
  if (pipeline !== 'ZImagePipeline') throw unsupported(index, `its _class_name is ${quoteValue(pipeline)}; "ZImagePipeline" is needed`);
}

async function listFolder(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (cause) {
    const code = errnoCode(cause);
    const why =
      code === 'EACCES' || code === 'EPERM'
        ? 'the user that this program runs as has no right to it. Give it the right to read the folder and what is in it, or name another folder'
        : `a checkpoint has the folders ${checkpointParts.join(', ')}`;
    throw new AppError('checkpoint_missing', `${dir} cannot be read (${code}); ${why}.`, { path: dir }, { cause });
  }
}

const quantizationSchema = z.object({ weights_dtype: z.string() });

/** uint4 or int8, by the transformer's quantization. Throws for a folder of another kind. */
export async function modelTypeOf(dir: string): Promise<ModelType> {
  await assertZImage(dir);
  const path = join(dir, 'transformer/config.json');
  const beside = join(dir, 'transformer/quantization_config.json');
  const config = z.object({ quantization_config: quantizationSchema.nullish() }).safeParse(await readJsonFile(path));
  if (!config.success) throw damaged(path, config.error);
  const inside = config.data.quantization_config ?? null;
  const quantization = quantizationSchema.nullable().safeParse(inside ?? ((await exists(beside)) ? await readJsonFile(beside) : null));
  if (!quantization.success) throw damaged(beside, quantization.error);
  const type = modelTypeSchema.safeParse(quantization.data?.weights_dtype);
  if (type.success) return type.data;
  throw unsupported(path, `its weights_dtype is ${quoteValue(quantization.data?.weights_dtype)}; ${modelTypeSchema.options.join(' and ')} are supported`);
}

const vaeSchema = z.object({ block_out_channels: z.array(z.number()).min(1) });
const transformerSchema = z.object({ all_patch_size: z.array(z.number().int().positive()).min(1) });

/** Pixels a token: each block of the VAE but the first halves the picture, and a patch of latents is one token. */
async function sizeUnitOf(dir: string): Promise<number> {
  const vaePath = join(dir, 'vae/config.json');
  const transformerPath = join(dir, 'transformer/config.json');
  const vae = vaeSchema.safeParse(await readJsonFile(vaePath));
  if (!vae.success) throw damaged(vaePath, vae.error);
  const transformer = transformerSchema.safeParse(await readJsonFile(transformerPath));
  if (!transformer.success) throw damaged(transformerPath, transformer.error);
  return 2 ** (vae.data.block_out_channels.length - 1) * (transformer.data.all_patch_size[0] as number);
}

/** `license` of the front matter of a Hugging Face model card. */
async function licenseOf(dir: string): Promise<string> {
  const path = join(dir, 'README.md');
  if (!(await exists(path))) return UNKNOWN_LICENSE;
  const [, frontMatter] = /^---\r?\n(.*?)\r?\n---/s.exec(await readFile(path, 'utf8')) ?? [];
  const [, license] = /^license:[ \t]*([\w.+-]+)/m.exec(frontMatter ?? '') ?? [];
  return license ?? UNKNOWN_LICENSE;
}

/** `OWNER/NAME` in a Hugging Face cache (`models--OWNER--NAME/snapshots/COMMIT`), else the folder's name. */
export function nameOf(dir: string): string {
  const [, repository] = /(?:^|[\\/])models--([^\\/]+)[\\/]snapshots[\\/][^\\/]+$/.exec(dir) ?? [];
  return repository === undefined ? basename(dir) : repository.replaceAll('--', '/');
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function damaged(path: string, error: z.ZodError): AppError<'checkpoint_damaged'> {
  const wrong = error.issues.map((issue) => `${issue.path.join('.') || 'all of it'}: ${issue.message}`);
  return new AppError('checkpoint_damaged', `${path} does not hold what it must (${wrong.join('; ')}).`, { path }, { cause: error });
}

function unsupported(path: string, what: string): AppError<'checkpoint_unsupported'> {
  return new AppError('checkpoint_unsupported', `${path}: ${what}.`, { path });
}
