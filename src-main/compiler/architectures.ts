import { join } from 'node:path';
import { z } from 'zod';
import type { CompiledCheckpoint, DenoiserVariant } from '#main/lib/compiled.ts';
import type { CompileJob } from './compile-job.ts';
import { compileKlein, loadKleinConfigs } from './models/klein.ts';
import { parseConfig } from './models/parse-config.ts';
import { compileZImage, compileZImageVariant, loadZImageConfigs, type VariantOptions } from './models/z-image.ts';
import { assertSupportedQuantization, loadQuantizationConfig } from './sdnq/quantization-config.ts';

export interface Architecture {
  /** The models that may be quantized, by folder and the name of their weights. The first one names the type of the checkpoint. */
  linearModels: readonly [LinearModel, ...LinearModel[]];
  /** Reads and checks the configs of all parts. */
  loadConfigs(root: string): Promise<unknown>;
  compile(root: string, job: CompileJob, identity: string): Promise<CompiledCheckpoint>;
  /** Null where no LoRA and no ControlNet is supported. */
  compileVariant: ((root: string, job: CompileJob, options: VariantOptions) => Promise<DenoiserVariant>) | null;
}

interface LinearModel {
  folder: string;
  baseName: string;
}

const transformerAndText = [
  { folder: 'transformer', baseName: 'diffusion_pytorch_model' },
  { folder: 'text_encoder', baseName: 'model' },
] as const;

/** By the `_class_name` of `model_index.json`. */
const architectures: Readonly<Record<string, Architecture>> = {
  ZImagePipeline: {
    linearModels: transformerAndText,
    loadConfigs: loadZImageConfigs,
    compile: compileZImage,
    compileVariant: compileZImageVariant,
  },
  Flux2KleinPipeline: {
    linearModels: transformerAndText,
    loadConfigs: loadKleinConfigs,
    compile: compileKlein,
    compileVariant: null,
  },
};
const modelIndexSchema = z.object({ _class_name: z.enum(Object.keys(architectures)) });

/** The architecture of the checkpoint folder `root`. Throws `checkpoint_missing`, `checkpoint_damaged` or `checkpoint_unsupported`. */
export async function loadArchitecture(root: string): Promise<Architecture> {
  const { value } = await parseConfig(root, 'model_index.json', modelIndexSchema);
  return architectures[value._class_name] as Architecture;
}

/**
 * Looks at the configs of a checkpoint, without its weights. `weightsDtype` is how its main model is quantized, null where it is not.
 * Throws where they show that it cannot run: `checkpoint_missing`, `checkpoint_damaged` or `checkpoint_unsupported`.
 */
export async function checkConfigs(root: string): Promise<{ weightsDtype: string | null }> {
  const { linearModels, loadConfigs } = await loadArchitecture(root);
  await loadConfigs(root);
  const configs = await Promise.all(linearModels.map(({ folder }) => loadQuantizationConfig(join(root, folder))));
  for (const config of configs) if (config !== null) assertSupportedQuantization(config);
  return { weightsDtype: configs[0]?.weightsDtype ?? null };
}
