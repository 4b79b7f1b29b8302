import { createStore, type StoreApi } from 'zustand/vanilla';
import type { DesktopBridge } from '#shared/protocol/desktop.ts';
import type { ClientMessage } from '#shared/protocol/messages.ts';
import type { StudioHttp } from '../client/http.ts';
import { type KeyValueStorage, writeStored } from '../client/stored.ts';
import { type ConnectionSlice, createConnectionSlice } from './connection-slice.ts';
import { createDesktopSlice, type DesktopSlice } from './desktop-slice.ts';
import { createDraftSlice, type DraftSlice } from './draft-slice.ts';
import { createGallerySlice, type GallerySlice } from './gallery-slice.ts';
import { createJobsSlice, type JobsSlice, STAGE_KEY } from './jobs-slice.ts';
import { createModelsSlice, type ModelsSlice } from './models-slice.ts';
import { createNoticesSlice, type NoticesSlice } from './notices-slice.ts';
import { createQueueSlice, type QueueSlice } from './queue-slice.ts';
import { createSavedSlice, type SavedSlice } from './saved-slice.ts';
import { createServerSlice, type ServerSlice } from './server-slice.ts';
import { createTokensSlice, type TokensSlice } from './tokens-slice.ts';
import { createViewSlice, type ViewSlice } from './view-slice.ts';
import { createWelcomeSlice, type WelcomeSlice } from './welcome-slice.ts';

/** What the store needs of the world. */
export interface StudioDeps {
  send(message: ClientMessage): void;
  http: StudioHttp;
  /** Shared by all windows of this browser. */
  storage: KeyValueStorage;
  /** This window's own, kept over a reload. */
  windowStorage: KeyValueStorage;
  /** Null in a browser. */
  desktop: DesktopBridge | null;
  /** Tells this window's requests from those of another window with the same client id. */
  windowId: string;
  /** A whole number that fits a seed's 32 bits. */
  randomSeed(): number;
  now(): number;
}

export type StudioState = ConnectionSlice &
  DraftSlice &
  JobsSlice &
  QueueSlice &
  GallerySlice &
  NoticesSlice &
  ViewSlice &
  DesktopSlice &
  ServerSlice &
  TokensSlice &
  SavedSlice &
  ModelsSlice &
  WelcomeSlice;
export type StudioStore = StoreApi<StudioState>;

/** Everything that the window knows and can do, without React and without a browser. */
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
    ...createSavedSlice(deps)(...api),
    ...createModelsSlice(deps)(...api),
    ...createWelcomeSlice(deps)(...api),
  }));
  store.subscribe(({ selectedId }, before) => {
    if (selectedId !== before.selectedId) writeStored(deps.windowStorage, STAGE_KEY, selectedId);
  });
  return store;
}
