import type { StateCreator } from 'zustand/vanilla';
import type { TextToImageParams } from '#shared/domain/job.ts';
import type { Upload } from '#shared/protocol/http.ts';
import { readMetadata } from '../client/metadata/read-metadata.ts';
import { numberOf } from './draft.ts';
import { sizeLike } from './image-size.ts';
import type { SourceSlice, StudioDeps, StudioState } from './state.ts';

/** How much may change without a mask, and with one: the server's defaults. */
const STRENGTH = { image_to_image: 0.6, inpaint: 1 };

type Needs = SourceSlice & Pick<StudioState, 'draft' | 'editDraft' | 'reuse' | 'show' | 'notify' | 'notifyFailure'>;

export function createSourceSlice({ http }: Pick<StudioDeps, 'http'>): StateCreator<Needs, [], [], SourceSlice> {
  return (set, get) => {
    function fillFrom(settings: Partial<TextToImageParams>): void {
      get().reuse(settings);
      get().show('make');
      get().notify({ tone: 'info', text: 'recipeRead' });
    }

    function receive(upload: Upload): void {
      const settings = readMetadata(upload);
      const { id, width, height } = upload;
      if (id !== null) set({ source: { id, width, height, settings } });
      else if (settings !== null) fillFrom(settings);
      else get().notify({ tone: 'error', code: 'no_recipe', message: '' });
    }

    return {
      source: null,
      start: null,

      openSource(image) {
        http.readImage(image).then(receive, get().notifyFailure);
      },

      startFromImage(filename, isRepaint) {
        const start = (upload: Upload) => {
          receive(upload);
          get().startFromSource(isRepaint);
        };
        http.image(filename).then(http.readImage).then(start, get().notifyFailure);
      },

      startFromSource(isRepaint) {
        const { source, draft } = get();
        if (source === null) return;
        set({ source: null, start: { ...source, strength: STRENGTH.image_to_image, mask: null }, isMaskOpen: isRepaint });
        const { width, height } = sizeLike(source, numberOf(draft.width) * numberOf(draft.height));
        get().editDraft({ width: String(width), height: String(height) });
        get().show('make');
      },

      isMaskOpen: false,

      openMask(isMaskOpen) {
        set({ isMaskOpen });
      },

      installedLoras: [],
      chosenLoras: [],

      refreshLoras() {
        http.loras().then(({ loras }) => set({ installedLoras: loras }), get().notifyFailure);
      },

      chooseLoras(chosenLoras) {
        set({ chosenLoras });
      },

      setMask(mask, featherPx) {
        const { start } = get();
        http.readImage(mask).then(({ id }) => {
          if (id !== null && get().start?.id === start?.id) get().editStart({ mask: { id, featherPx }, strength: STRENGTH.inpaint });
        }, get().notifyFailure);
      },

      editStart(change) {
        const { start } = get();
        if (start !== null) set({ start: { ...start, ...change } });
      },

      endStart() {
        set({ start: null, isMaskOpen: false });
      },

      closeSource() {
        set({ source: null });
      },

      reuseSource() {
        const settings = get().source?.settings;
        set({ source: null });
        if (settings) fillFrom(settings);
      },
    };
  };
}
