import { existsSync } from 'node:fs';
import type { Checkpoint, ModelRegistry, Upscaler } from '#main/models/checkpoint.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { StoredJob } from '../store/stored-job.ts';

/** Where the models of accepted jobs are. They are resolved when a job is accepted; the registry is asked again only after a restart, or when a model is gone. */
export class ModelPaths {
  readonly #registry: ModelRegistry;
  readonly #paths = new Map<string, string>();

  constructor(registry: ModelRegistry) {
    this.#registry = registry;
  }

  note(checkpoint: Checkpoint, upscaler: Upscaler): void {
    this.#paths.set(checkpoint.fingerprint, checkpoint.dir);
    this.#paths.set(upscaler.fingerprint, upscaler.path);
  }

  /** Throws `model_not_installed`. */
  async checkpointDir(job: StoredJob): Promise<string> {
    const { identity, name } = job.checkpoint;
    const known = this.#known(identity);
    if (known !== null) return known;
    const found = (await this.#registry.list()).find(({ fingerprint }) => fingerprint === identity);
    if (found === undefined) throw modelGone(job, `checkpoint ${name}`);
    this.#paths.set(identity, found.dir);
    return found.dir;
  }

  /** Throws `model_not_installed`. */
  async upscalerPath(job: StoredJob): Promise<string> {
    const { identity, name } = job.upscaler;
    const known = this.#known(identity);
    if (known !== null) return known;
    const { fingerprint, path } = await this.#registry.upscaler();
    if (fingerprint !== identity) throw modelGone(job, `upscaler ${name}`);
    this.#paths.set(identity, path);
    return path;
  }

  #known(identity: string): string | null {
    const path = this.#paths.get(identity);
    return path !== undefined && existsSync(path) ? path : null;
  }
}

function modelGone(job: StoredJob, model: string): AppError<'model_not_installed'> {
  const message = `The ${model} that this job was accepted for is no longer installed. Install it again, or send the job again to run with the present one.`;
  return new AppError('model_not_installed', message, { modelType: job.params.model_type });
}
