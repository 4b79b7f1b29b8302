import type { ModelAction, ModelEntry, ModelLimits, NewModel } from '#shared/domain/model.ts';
import type { ModelRegistry } from './checkpoint.ts';

/**
 * All models of this machine, with what can be installed: the registry that jobs ask, and what people do with it.
 * Rejections are `AppError`s: `unknown_model`, `model_busy`, `repository_unavailable`, `download_refused`, `download_failed`, `disk_full`, `checkpoint_…`.
 */
export interface ModelLibrary extends ModelRegistry {
  /** Every model; a broken one has its error in it and rejects nothing. */
  entries(): Promise<ModelEntry[]>;
  /** Begins what takes long and resolves with how the model stands then; the rest is told by `watch`. */
  act(name: string, action: ModelAction): Promise<ModelEntry>;
  /** A folder is looked at and used in place; of a repository the list of files and the configs are fetched before this resolves. */
  add(model: NewModel): Promise<ModelEntry>;
  limits(): ModelLimits;
  setLimits(limits: ModelLimits): Promise<ModelLimits>;
  /** Where downloads go. */
  readonly cacheDir: string;
  /** Calls `listener` at each change of state, and at most four times a second of each model that is being fetched. Returns the end of it. */
  watch(listener: (model: ModelEntry) => void): () => void;
  /** Lets downloads that an earlier process left go on; nothing is fetched before. */
  start(): void;
  /** Stops downloads where they are; they go on at the next start. */
  close(): Promise<void>;
}
