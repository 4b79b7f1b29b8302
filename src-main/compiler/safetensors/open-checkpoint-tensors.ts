import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { errnoCode } from '#main/lib/errno-code.ts';
import { isRecord } from '#main/lib/is-record.ts';
import { quoteValue } from '#main/lib/quote-value.ts';
import { readJsonFile } from '#main/lib/read-json-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { StoredTensor } from './header.ts';
import { openSafetensors } from './open-safetensors.ts';

/** The tensors of one model, from one file or from shards. */
export interface TensorTable {
  /** The folder as it was given, for messages. */
  dir: string;
  /** Real paths of the safetensors files, sorted. */
  files: string[];
  tensors: ReadonlyMap<string, StoredTensor>;
}

const pickleNames = /\.(bin|pt|pth|ckpt|pkl|pickle)$/i;

/**
 * Opens `BASE.safetensors`, or the shards that `BASE.safetensors.index.json` lists, in `dir` (`model` for text encoders, `diffusion_pytorch_model` for the rest).
 * Where both are there, the one that the library of that name reads: transformers the single file, diffusers the index unless a shard is missing.
 * Every tensor must be in the shard that the index names and in no other. Headers only; nothing is ever unpickled.
 * Throws `checkpoint_missing`, `checkpoint_damaged` or `checkpoint_unsupported`.
 */
export async function openCheckpointTensors(dir: string, baseName: string): Promise<TensorTable> {
  const single = `${baseName}.safetensors`;
  const index = `${single}.index.json`;
  const names = await listFolder(dir);
  const hasSingle = names.includes(single);
  const openSingle = async (): Promise<TensorTable> => tableOf(dir, [await openSafetensors(join(dir, single))]);
  if (hasSingle && (baseName === 'model' || !names.includes(index))) return openSingle();
  if (names.includes(index)) {
    try {
      return await openShards(dir, index);
    } catch (error) {
      if (hasSingle && error instanceof AppError && error.code === 'checkpoint_missing') return openSingle();
      throw error;
    }
  }

  const pickle = names.find((name) => pickleNames.test(name));
  if (pickle === undefined) throw missing(dir, `it holds neither ${single} nor ${index}`);
  throw new AppError(
    'checkpoint_unsupported',
    `${join(dir, pickle)} is a pickle, which can run code when it is read; only safetensors files are read, here ${single}.`,
    {
      path: join(dir, pickle),
    },
  );
}

/** The tensor of that name. Throws `checkpoint_damaged` where the model has none. */
export function requireTensor(table: TensorTable, name: string): StoredTensor {
  const tensor = table.tensors.get(name);
  if (tensor === undefined) throw damaged(table.dir, `the tensor ${quoteValue(name)} is missing among its ${table.tensors.size} tensors`);
  return tensor;
}

async function listFolder(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).sort();
  } catch (cause) {
    throw missing(dir, `the folder cannot be read (${errnoCode(cause)})`, cause);
  }
}

async function openShards(dir: string, index: string): Promise<TensorTable> {
  const indexPath = join(dir, index);
  const shardOf = parseWeightMap(await readJsonFile(indexPath), indexPath);
  const shards = [...new Set(shardOf.values())].sort();
  const opened = await Promise.all(shards.map((shard) => openSafetensors(join(dir, shard))));
  const table = tableOf(dir, opened);

  const shardAt = new Map(opened.map(({ file }, i) => [file, shards[i]]));
  for (const [name, shard] of shardOf) {
    const tensor = table.tensors.get(name);
    if (tensor === undefined) throw damaged(indexPath, `it places tensor ${quoteValue(name)} in ${quoteValue(shard)}, which does not hold it`);
    const actual = shardAt.get(tensor.file);
    if (actual !== shard) throw damaged(indexPath, `it places tensor ${quoteValue(name)} in ${quoteValue(shard)}, but it stands in ${quoteValue(actual)}`);
  }
  for (const { name, file } of table.tensors.values()) {
    if (!shardOf.has(name)) throw damaged(indexPath, `it does not list tensor ${quoteValue(name)}, which stands in ${quoteValue(shardAt.get(file))}`);
  }
  return table;
}

/** Tensor name -> shard file name. */
function parseWeightMap(index: unknown, path: string): Map<string, string> {
  const weightMap: unknown = isRecord(index) ? index['weight_map'] : undefined;
  if (!isRecord(weightMap) || Object.keys(weightMap).length === 0)
    throw damaged(path, `its "weight_map" is ${quoteValue(weightMap)} where an object of tensor and file names must stand`);
  const shardOf = new Map<string, string>();
  for (const [name, shard] of Object.entries(weightMap)) {
    if (typeof shard !== 'string' || !isPlainName(shard))
      throw damaged(
        path,
        `its "weight_map" places tensor ${quoteValue(name)} in ${quoteValue(shard)}; the name of a .safetensors file in the same folder must stand there`,
      );
    shardOf.set(name, shard);
  }
  return shardOf;
}

/** A name that can only mean a file beside the index, on Windows too. */
function isPlainName(name: string): boolean {
  return /^[^/\\:\0]+\.safetensors$/.test(name) && basename(name) === name && !name.startsWith('.');
}

function tableOf(dir: string, opened: { file: string; tensors: ReadonlyMap<string, StoredTensor> }[]): TensorTable {
  const tensors = new Map<string, StoredTensor>();
  for (const { file, tensors: own } of opened) {
    for (const [name, tensor] of own) {
      const other = tensors.get(name);
      if (other !== undefined)
        throw damaged(dir, `the tensor ${quoteValue(name)} stands in both ${basename(other.file)} and ${basename(file)}; it must stand in one`);
      tensors.set(name, tensor);
    }
  }
  return { dir, files: opened.map(({ file }) => file).sort(), tensors };
}

function damaged(path: string, what: string, cause?: unknown): AppError<'checkpoint_damaged'> {
  return new AppError('checkpoint_damaged', `${path}: ${what}.`, { path }, { cause });
}

function missing(path: string, what: string, cause?: unknown): AppError<'checkpoint_missing'> {
  return new AppError('checkpoint_missing', `${path}: ${what}.`, { path }, { cause });
}
