import { createStore, type StoreApi } from 'zustand/vanilla';
import type { ClientMessage } from '#shared/protocol/messages.ts';
import type { StudioHttp } from '../client/http.ts';
import type { KeyValueStorage } from '../client/stored.ts';
import { type ConnectionSlice, createConnectionSlice } from './connection-slice.ts';
import { createDraftSlice, type DraftSlice } from './draft-slice.ts';
import { createGallerySlice, type GallerySlice } from './gallery-slice.ts';
import { createJobsSlice, type JobsSlice } from './jobs-slice.ts';
import { createNoticesSlice, type NoticesSlice } from './notices-slice.ts';
import { createQueueSlice, type QueueSlice } from './queue-slice.ts';
import { createViewSlice, type ViewSlice } from './view-slice.ts';

/** What the store needs of the world. */
export interface StudioDeps {
  send(message: ClientMessage): void;
  http: StudioHttp;
  storage: KeyValueStorage;
  /** Tells this window's requests from those of another window with the same client id. */
  windowId: string;
  /** A whole number that fits a seed's 32 bits. */
  randomSeed(): number;
  now(): number;
}

export type StudioState = ConnectionSlice & DraftSlice & JobsSlice & QueueSlice & GallerySlice & NoticesSlice & ViewSlice;
export type StudioStore = StoreApi<StudioState>;

/** Everything that the window knows and can do, without React and without a browser. */
export function createStudioStore(deps: StudioDeps): StudioStore {
  return createStore<StudioState>()((...api) => ({
    ...createConnectionSlice(...api),
    ...createDraftSlice(deps)(...api),
    ...createJobsSlice(deps)(...api),
    ...createQueueSlice(deps)(...api),
    ...createGallerySlice(deps)(...api),
    ...createNoticesSlice(...api),
    ...createViewSlice(deps)(...api),
  }));
}
