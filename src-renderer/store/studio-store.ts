import { createStore, type StoreApi } from 'zustand/vanilla';
import { writeStored } from '../client/stored.ts';
import { createConnectionSlice } from './connection-slice.ts';
import { createDesktopSlice } from './desktop-slice.ts';
import { createDraftSlice } from './draft-slice.ts';
import { createGallerySlice } from './gallery-slice.ts';
import { createJobsSlice, STAGE_KEY } from './jobs-slice.ts';
import { createModelsSlice } from './models-slice.ts';
import { createNoticesSlice } from './notices-slice.ts';
import { createQueueSlice } from './queue-slice.ts';
import { createSavedSlice } from './saved-slice.ts';
import { createServerSlice } from './server-slice.ts';
import { createSourceSlice } from './source-slice.ts';
import type { StudioDeps, StudioState } from './state.ts';
import { createTokensSlice } from './tokens-slice.ts';
import { createViewSlice } from './view-slice.ts';

export type StudioStore = StoreApi<StudioState>;

/** The state of the window and its actions, without React and without a browser. */
export function createStudioStore(deps: StudioDeps): StudioStore {
  const store = createStore<StudioState>()((...api) => ({
    ...createConnectionSlice(...api),
    ...createDraftSlice(deps)(...api),
    ...createJobsSlice(deps)(...api),
    ...createQueueSlice(deps)(...api),
    ...createGallerySlice(deps)(...api),
    ...createNoticesSlice(...api),
    ...createViewSlice(deps)(...api),
    ...createDesktopSlice(deps)(...api),
    ...createServerSlice(deps)(...api),
    ...createTokensSlice(deps)(...api),
    ...createSourceSlice(deps)(...api),
    ...createSavedSlice(deps)(...api),
    ...createModelsSlice(deps)(...api),
  }));
  store.subscribe(({ selectedId }, before) => {
    if (selectedId !== before.selectedId) writeStored(deps.windowStorage, STAGE_KEY, selectedId);
  });
  return store;
}
