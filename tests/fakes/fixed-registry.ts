import type { Checkpoint, ExtraModel, ModelRegistry, Upscaler } from '#main/models/checkpoint.ts';
import { zImage } from '#shared/domain/architecture.ts';

/** Two checkpoints and an upscaler that are nowhere: names and identities only. */
export class FixedRegistry implements ModelRegistry {
  checkpoints: Checkpoint[] = (['uint4', 'int8'] as const).map((modelType) => ({
    name: `storybook-${modelType}`,
    dir: `/checkpoints/${modelType}`,
    modelType,
    bundled: true,
    fingerprint: `identity-${modelType}`,
    sizeBytes: 1,
    license: 'Apache-2.0',
    sizeUnitPx: 16,
    capabilities: zImage,
  }));

  async checkpointFor(modelType: 'uint4' | 'int8'): Promise<Checkpoint> {
    const found = this.checkpoints.find((checkpoint) => checkpoint.modelType === modelType);
    if (found === undefined) throw new Error(`the test has no checkpoint for ${modelType}`);
    return found;
  }

  async upscaler(): Promise<Upscaler> {
    return { name: 'general-x4v3', path: '/upscaler.safetensors', fingerprint: 'identity-x4', sizeBytes: 1, license: 'BSD-3-Clause' };
  }

  loraFiles: ExtraModel[] = [];
  controlNetFiles: ExtraModel[] = [];

  async loras(): Promise<ExtraModel[]> {
    return this.loraFiles;
  }

  async controlNets(): Promise<ExtraModel[]> {
    return this.controlNetFiles;
  }

  async upscalers(): Promise<Upscaler[]> {
    return [await this.upscaler()];
  }

  async list(): Promise<Checkpoint[]> {
    return this.checkpoints;
  }
}
