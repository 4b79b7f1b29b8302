import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { exists } from '#main/lib/exists.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { readJsonFile } from '#main/lib/read-json-file.ts';
import { unlessMissing } from '#main/lib/unless-missing.ts';
import { type Architecture, type Capabilities, capabilitiesOf } from '#shared/domain/architecture.ts';
import type { ModelType } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { Checkpoint } from './checkpoint.ts';
import { checkpointDamaged, listFolder, relevantPaths } from './checkpoint-files.ts';
import type { FileHashes } from './file-hashes.ts';

const UNKNOWN_LICENSE = 'unknown';

export type CheckpointFacts = Pick<Checkpoint, 'modelType' | 'capabilities' | 'fingerprint' | 'sizeBytes' | 'license' | 'sizeUnitPx'>;

/** Reads a checkpoint folder in Hugging Face layout. Throws `checkpoint_missing`, `checkpoint_damaged`, `checkpoint_unsupported` or `too_many_open_files`. */
export async function describeCheckpoint(dir: string, hashes: FileHashes): Promise<CheckpointFacts> {
  const capabilities = await loadCapabilities(dir);
  const modelType = await modelTypeOf(dir);
  const paths = await relevantPaths(dir);
  const sizeUnitPx = await sizeUnitOf(dir, capabilities.architecture);
  return { modelType, capabilities, ...(await fingerprintOf(dir, paths, hashes)), license: await licenseOf(dir), sizeUnitPx };
}

/** SHA-256 over path, size and content hash of each file, sorted by path. */
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

interface Layout {
  /** The kind that jobs ask for; null where it depends on the quantization. */
  modelType: ModelType | null;
  /** The config with the latent pixels of a token's side, and its field, a list. */
  patchSize: { config: string; field: string };
}

const layouts: Readonly<Record<Architecture, Layout>> = {
  'z-image': { modelType: null, patchSize: { config: 'transformer/config.json', field: 'all_patch_size' } },
  klein: { modelType: 'klein', patchSize: { config: 'vae/config.json', field: 'patch_size' } },
};

const NEEDED = 'a ZImagePipeline or Flux2KleinPipeline with a model_index.json is needed';

/** Throws `checkpoint_missing` for a folder without a pipeline, `checkpoint_unsupported` for another model or pipeline. */
async function loadCapabilities(dir: string): Promise<Capabilities> {
  const names = await listFolder(dir);
  const index = join(dir, 'model_index.json');
  if (!names.includes('model_index.json')) {
    const config = join(dir, 'config.json');
    const found = names.includes('config.json') ? z.object({ architectures: z.array(z.string()).min(1) }).safeParse(await readJsonFile(config)) : null;
    if (!found?.success) throw new AppError('checkpoint_missing', `${dir} is not a checkpoint: it has no model_index.json.`, { path: dir });
    throw unsupported(dir, `this folder is a ${found.data.architectures.join(', ')}; ${NEEDED}`);
  }
  const { _class_name: pipeline, is_distilled: isDistilled } = z
    .looseObject({ _class_name: z.unknown(), is_distilled: z.unknown().optional() })
    .catch({ _class_name: undefined, is_distilled: undefined })
    .parse(await readJsonFile(index));
  const capabilities = typeof pipeline === 'string' && Object.hasOwn(capabilitiesOf, pipeline) ? capabilitiesOf[pipeline] : undefined;
  if (capabilities !== undefined) return capabilities(isDistilled === true);
  const known = Object.keys(capabilitiesOf).map((name) => `"${name}"`);
  throw unsupported(index, `its _class_name is ${quoteValue(pipeline)}; ${known.join(' or ')} is needed`);
}

const quantizationSchema = z.object({ weights_dtype: z.string() });

/** The kind that jobs ask for; of Z-Image `uint4` up to 4 bits, `int8` for more and for unquantized weights. Throws for other checkpoints. */
export async function modelTypeOf(dir: string): Promise<ModelType> {
  const { modelType } = layouts[(await loadCapabilities(dir)).architecture];
  if (modelType !== null) return modelType;
  const path = join(dir, 'transformer/config.json');
  const separate = join(dir, 'transformer/quantization_config.json');
  const config = z.object({ quantization_config: quantizationSchema.nullish() }).safeParse(await readJsonFile(path));
  if (!config.success) throw checkpointDamaged(path, config.error);
  const inside = config.data.quantization_config ?? null;
  const quantization = quantizationSchema.nullable().safeParse(inside ?? ((await exists(separate)) ? await readJsonFile(separate) : null));
  if (!quantization.success) throw checkpointDamaged(separate, quantization.error);
  if (quantization.data === null) return 'int8';
  const { weights_dtype: dtype } = quantization.data;
  const bits = /^u?int([4-8])$/i.exec(dtype)?.[1];
  if (bits !== undefined) return bits === '4' ? 'uint4' : 'int8';
  throw unsupported(path, `its weights_dtype is ${quoteValue(dtype)}; int4 to int8, uint4 to uint8 and unquantized weights are supported`);
}

const vaeSchema = z.object({ block_out_channels: z.array(z.number()).min(1) });

/** Pixels per token: each block of the VAE but the first halves the image, and a patch of latents is one token. */
async function sizeUnitOf(dir: string, architecture: Architecture): Promise<number> {
  const vaePath = join(dir, 'vae/config.json');
  const vae = vaeSchema.safeParse(await readJsonFile(vaePath));
  if (!vae.success) throw checkpointDamaged(vaePath, vae.error);
  const { config, field } = layouts[architecture].patchSize;
  const path = join(dir, config);
  const patch = z.looseObject({ [field]: z.array(z.number().int().positive()).min(1) }).safeParse(await readJsonFile(path));
  if (!patch.success) throw checkpointDamaged(path, patch.error);
  return 2 ** (vae.data.block_out_channels.length - 1) * (patch.data[field]?.[0] as number);
}

/** The `license` in the front matter of a Hugging Face model card. */
async function licenseOf(dir: string): Promise<string> {
  const card = await unlessMissing(readFile(join(dir, 'README.md'), 'utf8'), '');
  const [, frontMatter] = /^---\r?\n(.*?)\r?\n---/s.exec(card) ?? [];
  const [, license] = /^license:[ \t]*([\w.+-]+)/m.exec(frontMatter ?? '') ?? [];
  return license ?? UNKNOWN_LICENSE;
}

/** `OWNER/NAME` in a Hugging Face cache (`models--OWNER--NAME/snapshots/COMMIT`), else the name of the folder. */
export function nameOf(dir: string): string {
  const [, repository] = /(?:^|[\\/])models--([^\\/]+)[\\/]snapshots[\\/][^\\/]+$/.exec(dir) ?? [];
  return repository === undefined ? basename(dir) : repository.replaceAll('--', '/');
}

function unsupported(path: string, what: string): AppError<'checkpoint_unsupported'> {
  return new AppError('checkpoint_unsupported', `${path}: ${what}.`, { path });
}
