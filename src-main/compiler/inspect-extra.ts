import { join } from 'node:path';
import type { ExtraKind, ExtraMetadata } from '#shared/domain/model.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { loadLora } from './lora/load-lora.ts';
import { describeControlNet } from './models/controlnet.ts';
import { loraTargets } from './models/lora-targets.ts';
import { loadTransformerConfig, type TransformerConfig } from './models/transformer-config.ts';
import { openSafetensors } from './safetensors/open-safetensors.ts';

/** Of Tongyi-MAI/Z-Image-Turbo: what is made for it can be installed before it. */
const publishedTransformer: TransformerConfig = {
  ...{ latentChannels: 16, patchSize: 2, width: 3840, layers: 30, refinerLayers: 2, heads: 30, headWidth: 128, captionWidth: 2560 },
  ...{ normEpsilon: 1e-5, qkNorm: true, timeScale: 1000, ropeTheta: 256, ropeAxes: [32, 48, 48], ropeLengths: [1024, 512, 512] },
};

/**
 * Reads a LoRA or ControlNet and checks that one of the checkpoints, or the published one, can use it; that of the first checkpoint is the error otherwise.
 * Throws `lora_unsupported`, `controlnet_unsupported` and what `openSafetensors` throws.
 */
export async function inspectExtra(path: string, checkpointDirs: readonly string[]): Promise<ExtraKind> {
  const { file, tensors } = await openSafetensors(path);
  const kind = [...tensors.keys()].some((name) => name.startsWith('control_')) ? 'controlnet' : 'lora';
  const configs = await Promise.all(checkpointDirs.map((dir) => loadTransformerConfig(join(dir, 'transformer'))));
  let firstReason: AppError | null = null;
  for (const config of [...configs, publishedTransformer]) {
    try {
      if (kind === 'lora') await loadLora(path, path, loraTargets(config));
      else await describeControlNet({ dir: path, files: [file], tensors }, config);
      return kind;
    } catch (thrown) {
      if (!(thrown instanceof AppError) || (thrown.code !== 'lora_unsupported' && thrown.code !== 'controlnet_unsupported')) throw thrown;
      firstReason ??= thrown;
    }
  }
  throw firstReason;
}

const MAX_TEXT_LENGTH = 100;
const MAX_WORDS = 5;

/**
 * What a LoRA's trainer wrote about it. Sources: https://github.com/Stability-AI/ModelSpec, keys `modelspec.…`; https://github.com/kohya-ss/sd-scripts,
 * `library/train_util.py`, keys `ss_…`.
 */
export async function readExtraMetadata(path: string): Promise<ExtraMetadata> {
  const { metadata } = await openSafetensors(path);
  const phrase = metadata.get('modelspec.trigger_phrase') ?? metadata.get('trigger_words') ?? '';
  const words = phrase.split(',').map((word) => word.trim());
  const base = ['ss_base_model_version', 'modelspec.architecture', 'base_model', 'ss_sd_model_name'].map((key) => metadata.get(key)?.trim());
  const base_model = base.find((name) => name !== undefined && name !== '')?.slice(0, MAX_TEXT_LENGTH);
  const trigger_words = words.flatMap((word) => (word === '' ? [] : [word.slice(0, MAX_TEXT_LENGTH)])).slice(0, MAX_WORDS);
  return { ...(trigger_words.length === 0 ? {} : { trigger_words }), ...(base_model === undefined ? {} : { base_model }) };
}
