import type { StateCreator } from 'zustand/vanilla';
import type { CudaPackAction, CudaPackEntry } from '#shared/domain/cuda-pack.ts';
import type { ModelAction, ModelEntry, ModelLimits, NewModel } from '#shared/domain/model.ts';
import type { Models } from '#shared/protocol/http.ts';
import { HttpFailure } from '../client/http.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { StudioDeps, StudioState } from './studio-store.ts';

export interface ModelsSlice {
  /** What is installed and what can be; null until the server has told. */
  models: Models | null;
  refreshModels(): void;
  receiveModel(model: ModelEntry): void;
  actOnModel(name: string, action: ModelAction): void;
  /** Null when it is done, else why not. */
  addModel(model: NewModel): Promise<HttpFailure | null>;
  limitDownloads(limits: ModelLimits): void;
  /** The libraries for an NVIDIA card; null until the server has told. */
  cudaPack: CudaPackEntry | null;
  refreshCudaPack(): void;
  receiveCudaPack(pack: CudaPackEntry): void;
  /** `install` says that its licences are agreed to. */
  actOnCudaPack(action: CudaPackAction): void;
}

export function createModelsSlice({ http }: StudioDeps): StateCreator<StudioState, [], [], ModelsSlice> {
  return (set, get) => {
    return {
      models: null,

      refreshModels: oneAtATime(() => http.models().then((models) => set({ models }), get().notifyFailure)),

      receiveModel(model) {
        const { models } = get();
        if (models === null) return;
        const isKnown = models.models.some(({ name }) => name === model.name);
        set({ models: { ...models, models: isKnown ? models.models.map((one) => (one.name === model.name ? model : one)) : [model, ...models.models] } });
        // which one runs for its kind may have changed with it, and a folder that was forgotten is no entry any more
        if (model.state === 'installed' || model.state === 'absent') {
          get().refreshModels();
          get().refreshInfo();
        }
      },

      actOnModel(name, action) {
        http.actOnModel(name, action).then(get().receiveModel, get().notifyFailure);
      },

      async addModel(model) {
        try {
          get().receiveModel(await http.addModel(model));
          return null;
        } catch (failure) {
          if (failure instanceof HttpFailure) return failure;
          throw failure;
        }
      },

      limitDownloads(limits) {
        const take = (taken: ModelLimits) => {
          const { models } = get();
          if (models !== null) set({ models: { ...models, limits: taken } });
          get().notify({ tone: 'info', text: 'saved' });
        };
        http.limitDownloads(limits).then(take, get().notifyFailure);
      },

      cudaPack: null,

      refreshCudaPack: oneAtATime(() => http.cudaPack().then(get().receiveCudaPack, get().notifyFailure)),

      receiveCudaPack(pack) {
        const before = get().cudaPack;
        // the answer to a click may come after the message that tells its end
        if (before !== null && before.revision > pack.revision) return;
        set({ cudaPack: pack });
        // what CUDA can do has changed with it
        if (before !== null && before.state !== pack.state && (pack.state === 'installed' || pack.state === 'absent')) get().refreshDevices(false);
      },

      actOnCudaPack(action) {
        http.actOnCudaPack(action, action === 'install').then(get().receiveCudaPack, get().notifyFailure);
      },
    };
  };
}
