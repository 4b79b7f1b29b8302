import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { resourcesDir } from '#main/lib/program-files.ts';
import { type Kind, writeRandomTextEncoder, writeRandomTransformer, writeRandomVae } from './random-checkpoint.ts';
import { writeRandomTokenizer } from './random-tokenizer.ts';

const DIT_LAYERS = 30;
const DIT_REFINERS = 2;
const TEXT_LAYERS = 36;

/** Writes a random checkpoint of Z-Image-Turbo's true sizes to `dir`, which is renamed when complete; an existing one is used again. */
export async function ensureFullCheckpoint(dir: string, kind: Kind): Promise<void> {
  if (existsSync(dir)) return;
  const part = `${dir}.part`;
  const pattern = join(resourcesDir, 'models', `storybook-${kind}`);
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true });
  await copyFile(join(pattern, 'model_index.json'), join(part, 'model_index.json'));
  await cp(join(pattern, 'scheduler'), join(part, 'scheduler'), { recursive: true });
  await writeRandomTokenizer(part, join(pattern, 'tokenizer'));
  await writeRandomVae(part);
  await writeRandomTextEncoder(part, kind, TEXT_LAYERS);
  await writeRandomTransformer(part, kind, DIT_LAYERS, DIT_REFINERS);
  await rename(part, dir);
}

/** The weight files with their sizes. */
export async function weightFilesOf(dir: string): Promise<{ path: string; bytes: number }[]> {
  const files: { path: string; bytes: number }[] = [];
  for (const part of ['text_encoder', 'transformer', 'vae']) {
    for (const name of await readdir(join(dir, part))) {
      const path = join(dir, part, name);
      if (name.endsWith('.safetensors')) files.push({ path, bytes: (await stat(path)).size });
    }
  }
  return files;
}
