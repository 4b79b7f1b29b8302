import type { ModelAction, ModelEntry, ModelLimits, NewModel } from '#shared/domain/model.ts';
import type { ModelRegistry } from './checkpoint.ts';

/**
 * All models of this machine and all that can be installed: the registry for jobs, and the commands of users.
 * Rejects with an `AppError`: `unknown_model`, `model_busy`, `repository_unavailable`, `download_refused`, `download_failed`, `disk_full`, `checkpoint_…`.
 */
export interface ModelLibrary extends ModelRegistry {
  /** Every model; a broken one has an `error`. */
  entries(): Promise<ModelEntry[]>;
  /** Resolves when a long action has started; `watch` reports the rest. */
  act(name: string, action: ModelAction): Promise<ModelEntry>;
  /** Checks a folder and uses it in place, or starts the download of a repository once its file list and configs are here. */
  add(model: NewModel): Promise<ModelEntry>;
  limits(): ModelLimits;
  setLimits(limits: ModelLimits): Promise<ModelLimits>;
  /** Where downloads go. */
  readonly cacheDir: string;
  /** Calls `listener` at each change of state, and at most four times a second during work. Returns the function that ends it. */
  watch(listener: (model: ModelEntry) => void): () => void;
  /** Throws why a folder of `--checkpoint` cannot be used. */
  assertNamedFolders(): Promise<void>;
  /** Continues the downloads of an earlier process; nothing is downloaded before. */
  start(): void;
  /** Stops downloads; they continue at the next start. */
  close(): Promise<void>;
}
