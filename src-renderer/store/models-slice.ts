import type { StateCreator } from 'zustand/vanilla';
import type { ModelLimits } from '#shared/domain/model.ts';
import { HttpFailure } from '../client/http.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { ModelsSlice, StudioDeps, StudioState } from './state.ts';

type Needs = ModelsSlice & Pick<StudioState, 'refreshInfo' | 'refreshDevices' | 'notify' | 'notifyFailure'>;

export function createModelsSlice({ http }: Pick<StudioDeps, 'http'>): StateCreator<Needs, [], [], ModelsSlice> {
  return (set, get) => ({
    models: null,

    refreshModels: oneAtATime(() => http.models().then((models) => set({ models }), get().notifyFailure)),

    receiveModel(model) {
      const { models } = get();
      if (models === null) return;
      const isKnown = models.models.some(({ name }) => name === model.name);
      set({ models: { ...models, models: isKnown ? models.models.map((one) => (one.name === model.name ? model : one)) : [model, ...models.models] } });
      // the active model of its kind may have changed too, and a removed folder is no longer listed
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
      const apply = (applied: ModelLimits) => {
        const { models } = get();
        if (models !== null) set({ models: { ...models, limits: applied } });
        get().notify({ tone: 'info', text: 'saved' });
      };
      http.limitDownloads(limits).then(apply, get().notifyFailure);
    },

    cudaPack: null,

    refreshCudaPack: oneAtATime(() => http.cudaPack().then(get().receiveCudaPack, get().notifyFailure)),

    receiveCudaPack(pack) {
      const before = get().cudaPack;
      // the response to a click may arrive after the message that reports its result
      if (before !== null && before.revision > pack.revision) return;
      set({ cudaPack: pack });
      if (before !== null && before.state !== pack.state && (pack.state === 'installed' || pack.state === 'absent')) get().refreshDevices(false);
    },

    actOnCudaPack(action) {
      http.actOnCudaPack(action, action === 'install').then(get().receiveCudaPack, get().notifyFailure);
    },
  });
}
