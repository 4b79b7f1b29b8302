import { existsSync } from 'node:fs';
import type { GenerateTask, UpscaleTask } from '#main/engine/engine.ts';
import type { Checkpoint, ExtraModel, ModelRegistry, Upscaler } from '#main/models/checkpoint.ts';
import type { TextToImageParams } from '#shared/domain/job.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { StoredJob } from '../store/stored-job.ts';

type Control = NonNullable<TextToImageParams['control']>;

/** Where the models of accepted jobs are. They are resolved when a job is accepted; the registry is asked again only after a restart, or when a model is gone. */
export class ModelPaths {
  readonly #registry: ModelRegistry;
  readonly #paths = new Map<string, string>();

  constructor(registry: ModelRegistry) {
    this.#registry = registry;
  }

  note(checkpoint: Checkpoint | null, upscaler: Upscaler | null): void {
    if (checkpoint !== null) this.#paths.set(checkpoint.fingerprint, checkpoint.dir);
    if (upscaler !== null) this.#paths.set(upscaler.fingerprint, upscaler.path);
  }

  /** Throws `model_not_installed`. */
  async checkpointOf({ checkpoint }: StoredJob): Promise<Pick<GenerateTask, 'checkpointDir' | 'checkpointIdentity'>> {
    if (checkpoint === null) throw new Error('A job that generates has a checkpoint.');
    const { identity, name } = checkpoint;
    const known = this.#known(identity);
    if (known !== null) return { checkpointDir: known, checkpointIdentity: identity };
    const found = await findCheckpoint(this.#registry, identity);
    if (found === null) throw modelGone('checkpoint', name);
    this.#paths.set(identity, found.dir);
    return { checkpointDir: found.dir, checkpointIdentity: identity };
  }

  /** Throws `model_not_installed`. */
  async upscalerOf({ upscaler }: StoredJob): Promise<Pick<UpscaleTask, 'upscalerPath' | 'upscalerIdentity'>> {
    if (upscaler === null) throw new Error('A job that upscales has an upscaler.');
    const { identity, name } = upscaler;
    const known = this.#known(identity);
    if (known !== null) return { upscalerPath: known, upscalerIdentity: identity };
    const found = await findUpscaler(this.#registry, identity);
    if (found === null) throw modelGone('upscaler', name);
    this.#paths.set(identity, found.path);
    return { upscalerPath: found.path, upscalerIdentity: identity };
  }

  /** Throws `model_not_installed`. */
  async loraOf({ name, weight, identity }: { name: string; weight: number; identity: string }) {
    return { file: pathOf(await this.#registry.loras(), 'LoRA', name, identity), name, identity, weight };
  }

  /** Throws `model_not_installed`. */
  async controlNetOf({ model, identity, scale, start, end, preprocess }: Control) {
    return { file: pathOf(await this.#registry.controlNets(), 'ControlNet', model, identity), name: model, identity, scale, start, end, preprocess };
  }

  #known(identity: string): string | null {
    const path = this.#paths.get(identity);
    return path !== undefined && existsSync(path) ? path : null;
  }
}

/** The installed checkpoint with this fingerprint, or null. */
export async function findCheckpoint(registry: ModelRegistry, identity: string): Promise<Checkpoint | null> {
  return (await registry.list()).find(({ fingerprint }) => fingerprint === identity) ?? null;
}

/** The installed and undamaged upscaler with this fingerprint, or null. */
export async function findUpscaler(registry: ModelRegistry, identity: string): Promise<Upscaler | null> {
  const usable = (await registry.upscalers()).filter((upscaler) => 'fingerprint' in upscaler);
  return usable.find(({ fingerprint }) => fingerprint === identity) ?? null;
}

function pathOf(installed: readonly ExtraModel[], kind: 'LoRA' | 'ControlNet', name: string, identity: string): string {
  const found = installed.find(({ fingerprint }) => fingerprint === identity);
  if (found === undefined) throw modelGone(kind, name);
  return found.path;
}

function modelGone(kind: 'checkpoint' | 'upscaler' | 'LoRA' | 'ControlNet', name: string): AppError<'model_not_installed'> {
  const message = `The ${kind} ${name} that this job was accepted for is no longer installed. Install it again, or send the job again to run with the present one.`;
  return new AppError('model_not_installed', message, { modelType: kind });
}
