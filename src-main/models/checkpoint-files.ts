import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { checkpointReadError } from '#main/lib/checkpoint-read-error.ts';
import { readJsonFile } from '#main/lib/read-json-file.ts';
import { AppError } from '#shared/protocol/errors.ts';

/** The folders of a checkpoint. */
export const checkpointParts = ['scheduler', 'text_encoder', 'tokenizer', 'transformer', 'vae'] as const;
/** The folders with weights. */
export const weightParts = ['text_encoder', 'transformer', 'vae'] as const;
/** Files that can change the image. */
const relevantFile = /^[^.].*\.(json|safetensors|jinja)$/;
/** Formats that can run code when they are opened. */
export const pickleFile = /\.(bin|pt|pth|ckpt|pkl|pickle|joblib)$/i;

/** Relative paths, with `/` between folders. Throws `checkpoint_missing` if a part is missing. */
export async function relevantPaths(dir: string): Promise<string[]> {
  const paths = ['model_index.json'];
  for (const part of checkpointParts) {
    for (const name of relevantNames(part, await listFolder(join(dir, part)))) paths.push(`${part}/${name}`);
  }
  return paths;
}

/**
 * The files in the folder of a part that are read. Where a single weights file and shards are both there, transformers reads the single file and diffusers
 * the shards; `merges.txt` is read where there is no `tokenizer.json`.
 */
export function relevantNames(part: string, names: readonly string[]): string[] {
  const has = (name: string): boolean => names.includes(name);
  const hasBoth = (base: string): boolean => has(`${base}.safetensors`) && has(`${base}.safetensors.index.json`);
  return names.filter((name) => {
    if (part === 'tokenizer' && name === 'merges.txt') return !has('tokenizer.json');
    if (part === 'text_encoder' && hasBoth('model') && /^model(-\d+-of-\d+\.safetensors|\.safetensors\.index\.json)$/.test(name)) return false;
    if (part !== 'text_encoder' && hasBoth('diffusion_pytorch_model') && name === 'diffusion_pytorch_model.safetensors') return false;
    return relevantFile.test(name);
  });
}

/** Throws `checkpoint_missing` with the name of the first missing weight file, or `checkpoint_unsupported` for pickles, which are never opened. */
export async function assertWeights(dir: string): Promise<void> {
  for (const part of weightParts) {
    const path = join(dir, part);
    const names = await listFolder(path);
    if (!names.some((name) => name.endsWith('.safetensors'))) {
      const pickle = names.find((name) => pickleFile.test(name));
      if (pickle === undefined) throw new AppError('checkpoint_missing', `${path} has no *.safetensors files.`, { path });
      const message = `${join(path, pickle)} is a pickle file, which can run code when it is opened. Use weights in safetensors format.`;
      throw new AppError('checkpoint_unsupported', message, { path: join(path, pickle) });
    }
    for (const index of relevantNames(part, names).filter((name) => name.endsWith('.safetensors.index.json'))) {
      const parsed = shardIndexSchema.safeParse(await readJsonFile(join(path, index)));
      if (!parsed.success) throw checkpointDamaged(join(path, index), parsed.error);
      const missing = Object.values(parsed.data.weight_map).find((shard) => !names.includes(shard));
      if (missing !== undefined) throw new AppError('checkpoint_missing', `${join(path, missing)} is missing; ${index} lists it.`, { path });
    }
  }
}

const shardIndexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/** The names in a folder of a checkpoint. Throws `checkpoint_missing` or `too_many_open_files`. */
export async function listFolder(dir: string): Promise<string[]> {
  return readdir(dir).catch((cause: unknown) => {
    throw checkpointReadError(cause, dir, `A checkpoint has the folders ${checkpointParts.join(', ')}; this user needs the right to read them.`);
  });
}

export function checkpointDamaged(path: string, error: z.ZodError): AppError<'checkpoint_damaged'> {
  const wrong = error.issues.map((issue) => `${issue.path.join('.') || 'the whole file'}: ${issue.message}`);
  return new AppError('checkpoint_damaged', `${path} has invalid values (${wrong.join('; ')}).`, { path }, { cause: error });
}
