import { readFile } from 'node:fs/promises';
import { readPngTexts } from '#main/lib/png-texts.ts';
import type { Checkpoint } from '#main/models/checkpoint.ts';
import { PARAMETERS_KEYWORD } from '#shared/domain/recipe.ts';
import type { FieldValues } from '../fields.ts';
import type { img2imgFields } from './fields.ts';

const SAMPLER = 'Euler';

/** What an answer says of its images. */
export interface Made {
  seeds: number[];
  infotexts: string[];
  asked: { width: number; height: number };
  checkpoint: Checkpoint;
  steps: number;
  isInterrupted: boolean;
}

/** What clients read from the JSON text `info`. */
export function infoOf(body: FieldValues<typeof img2imgFields>, { seeds, infotexts, asked, checkpoint, steps, isInterrupted }: Made) {
  return {
    prompt: body.prompt,
    all_prompts: seeds.map(() => body.prompt),
    negative_prompt: body.negative_prompt ?? '',
    all_negative_prompts: seeds.map(() => body.negative_prompt ?? ''),
    seed: seeds[0],
    all_seeds: seeds,
    subseed: seeds[0],
    all_subseeds: seeds,
    subseed_strength: 0,
    ...asked,
    sampler_name: body.sampler_name ?? body.sampler_index ?? SAMPLER,
    cfg_scale: body.cfg_scale ?? 0,
    steps,
    requested_steps: body.steps ?? null,
    batch_size: body.batch_size ?? 1,
    restore_faces: false,
    sd_model_name: checkpoint.name,
    sd_model_hash: checkpoint.fingerprint.slice(0, 10),
    ...(body.denoising_strength === undefined ? {} : { denoising_strength: body.denoising_strength }),
    infotexts,
    job_timestamp: new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14),
    interrupted: isInterrupted,
  };
}

/** What an image's file says about its generation. */
export async function infotextOf(path: string): Promise<string> {
  return readPngTexts(await readFile(path)).find(({ keyword }) => keyword === PARAMETERS_KEYWORD)?.text ?? '';
}
