import { z } from 'zod';
import type { StateCreator } from 'zustand/vanilla';
import { type Expand, expandSchema, preprocessSchema, type TextToImageParams } from '#shared/domain/job.ts';
import type { Upload } from '#shared/protocol/http.ts';
import { readMetadata } from '../client/metadata/read-metadata.ts';
import { readStored, writeStored } from '../client/stored.ts';
import { numberOf } from './draft.ts';
import { sizeLike } from './image-size.ts';
import type { SourceSlice, Start, StudioDeps, StudioState } from './state.ts';

const STORED_KEY = 'zimage.start';
/** Uploads are kept for a day after their last use, so a reload finds them. */
const storedSchema = z.object({
  start: z
    .object({
      ...{ id: z.string(), width: z.number(), height: z.number(), settings: z.null(), strength: z.number(), onlyMasked: z.boolean() },
      mask: z.object({ id: z.string(), featherPx: z.number() }).nullable(),
      expand: expandSchema,
    })
    .nullable(),
  control: z.object({ id: z.string(), model: z.string(), scale: z.number(), start: z.number(), end: z.number(), preprocess: preprocessSchema }).nullable(),
  chosenLoras: z.array(z.object({ name: z.string(), weight: z.number(), identity: z.string() })),
});
const nothingStored: z.infer<typeof storedSchema> = { start: null, control: null, chosenLoras: [] };
const noExpansion: Expand = { left: 0, top: 0, right: 0, bottom: 0 };

/** How much may change without a mask, and with one: the server's defaults. */
const STRENGTH = { image_to_image: 0.6, inpaint: 1 };

type Needs = SourceSlice & Pick<StudioState, 'draft' | 'editDraft' | 'reuse' | 'show' | 'notify' | 'notifyFailure'>;

export function createSourceSlice({ http, windowStorage }: Pick<StudioDeps, 'http' | 'windowStorage'>): StateCreator<Needs, [], [], SourceSlice> {
  return (set, get) => {
    /** Changes what the next images are made from, which a reload keeps. */
    function write(change: Partial<Pick<SourceSlice, 'start' | 'control' | 'chosenLoras'>>): void {
      set(change);
      const { start, control, chosenLoras } = get();
      writeStored(windowStorage, STORED_KEY, { start: start && { ...start, settings: null }, control, chosenLoras });
    }

    function shapeLike({ width, height, expand: { left, top, right, bottom } }: Start): void {
      const { draft, editDraft } = get();
      const size = { width: left + width + right, height: top + height + bottom };
      const shaped = sizeLike(size, numberOf(draft.width) * numberOf(draft.height));
      editDraft({ width: String(shaped.width), height: String(shaped.height) });
    }

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
      ...readStored(windowStorage, STORED_KEY, storedSchema, nothingStored),

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
        const { source } = get();
        if (source === null) return;
        const start = { ...source, strength: STRENGTH.image_to_image, mask: null, expand: noExpansion, onlyMasked: false };
        set({ source: null, isMaskOpen: isRepaint });
        write({ start });
        shapeLike(start);
        get().show('make');
      },

      isMaskOpen: false,

      openMask(isMaskOpen) {
        set({ isMaskOpen });
      },

      installedControlNets: [],

      refreshControlNets() {
        http.controlNets().then(({ controlnets }) => set({ installedControlNets: controlnets }), get().notifyFailure);
      },

      openControl(image) {
        const guide = ({ id }: Upload) => {
          const model = get().control?.model ?? get().installedControlNets[0]?.name;
          if (id === null) get().notify({ tone: 'error', code: 'upload_too_large', message: '' });
          else if (model !== undefined) write({ control: { id, model, scale: 0.75, start: 0, end: 1, preprocess: 'canny' } });
        };
        http.readImage(image).then(guide, get().notifyFailure);
      },

      guideByImage(filename) {
        http.image(filename).then((image) => {
          get().openControl(image);
          get().show('make');
        }, get().notifyFailure);
      },

      editControl(change) {
        const { control } = get();
        if (control !== null) write({ control: { ...control, ...change } });
      },

      endControl() {
        write({ control: null });
      },

      installedLoras: [],

      refreshLoras() {
        http.loras().then(({ loras }) => set({ installedLoras: loras }), get().notifyFailure);
      },

      chooseLoras(chosenLoras) {
        write({ chosenLoras });
      },

      setMask(mask, featherPx) {
        const { start } = get();
        http.readImage(mask).then(({ id }) => {
          if (id !== null && get().start?.id === start?.id) get().editStart({ mask: { id, featherPx }, strength: STRENGTH.inpaint });
        }, get().notifyFailure);
      },

      editStart(change) {
        const { start } = get();
        if (start === null) return;
        write({ start: { ...start, ...change } });
        if (change.expand !== undefined) shapeLike({ ...start, ...change });
      },

      endStart() {
        set({ isMaskOpen: false });
        write({ start: null });
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
