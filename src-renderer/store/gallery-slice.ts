import type { z } from 'zod';
import type { StateCreator } from 'zustand/vanilla';
import { jobQuerySchema } from '#shared/domain/job-record.ts';
import type { Sizes } from '#shared/protocol/http.ts';
import { readStored, writeStored } from '../client/stored.ts';
import { anyDates, datesSchema, rangeOf } from './date-range.ts';
import { type Job, jobFromRecord } from './jobs.ts';
import type { StudioDeps, StudioState } from './studio-store.ts';

/** What the gallery shows; every part narrows. */
const galleryFilterSchema = jobQuerySchema
  .pick({ query: true, model: true, starred: true, deleted: true, client: true, width: true, height: true })
  .extend({ dates: datesSchema.optional() });
export type GalleryFilter = z.infer<typeof galleryFilterSchema>;

/** Takes every narrowing away, but for whether the bin is shown. */
export const everything = {
  query: undefined,
  model: undefined,
  starred: undefined,
  client: undefined,
  dates: undefined,
  width: undefined,
  height: undefined,
} satisfies GalleryFilter;

export interface GallerySlice {
  gallery: readonly Job[];
  galleryFilter: GalleryFilter;
  /** Cursor of the next page; null at the end. */
  galleryNext: number | null;
  galleryState: 'idle' | 'loading' | 'failed';
  /** Images selection for an action on all of them. */
  selection: ReadonlySet<string>;
  /** Sizes that images of the gallery have, the most frequent first. */
  gallerySizes: Sizes['sizes'];
  /** Asks what there is to filter by: sizes and clients. */
  refreshGalleryChoices(): void;
  filterGallery(change: GalleryFilter): void;
  refreshGallery(): void;
  loadMoreGallery(): void;
  star(id: string, starred: boolean): void;
  /** Somebody gave a star or took it, here or elsewhere. */
  starred(id: string, starred: boolean): void;
  /** Moves to the bin; a notice offers to take it back. */
  remove(ids: string[]): void;
  restore(ids: string[]): void;
  /** Deletes what lies in the bin for good. */
  emptyBin(): void;
  setSelection(ids: Iterable<string>): void;
  /** Picks an image, or unpicks it. */
  toggleSelected(id: string): void;
  /** Picks everything between the image that was selection last and this one. */
  selectTo(id: string): void;
  /** A job has another status now: a finished image belongs in the gallery, a deleted one does not. */
  jobChanged(job: Job): void;
}

const PAGE_SIZE = 200;
const FILTER_KEY = 'zimage.gallery-filter';

export function createGallerySlice({ http, now, windowStorage }: StudioDeps): StateCreator<StudioState, [], [], GallerySlice> {
  /** Answers to an older question than the last one asked are of no use. */
  let asked = 0;
  let anchorId: string | null = null;

  return (set, get) => {
    async function load(before: number | null): Promise<void> {
      const question = ++asked;
      set({ galleryState: 'loading' });
      try {
        const { dates = anyDates, ...query } = get().galleryFilter;
        const page = await http.listJobs({
          ...query,
          ...rangeOf(dates, now()),
          status: 'completed',
          limit: PAGE_SIZE,
          ...(before === null ? {} : { before }),
        });
        if (question !== asked) return;
        const listed = page.jobs.map(jobFromRecord);
        set({ gallery: before === null ? listed : [...get().gallery, ...listed], galleryNext: page.next, galleryState: 'idle' });
      } catch (failure) {
        if (question !== asked) return;
        set({ galleryState: 'failed' });
        get().notifyFailure(failure);
      }
    }

    /** Changes one image wherever it is shown. */
    function update(id: string, change: (job: Job) => Job): void {
      const known = get().jobs[id];
      set({ gallery: get().gallery.map((job) => (job.id === id ? change(job) : job)) });
      if (known !== undefined) set({ jobs: { ...get().jobs, [id]: change(known) } });
    }

    return {
      gallery: [],
      galleryFilter: readStored(windowStorage, FILTER_KEY, galleryFilterSchema, {}),
      galleryNext: null,
      galleryState: 'loading',
      selection: new Set(),
      gallerySizes: [],

      refreshGalleryChoices() {
        http.sizes().then(({ sizes }) => set({ gallerySizes: sizes }), get().notifyFailure);
        get().refreshClients();
      },

      filterGallery(change) {
        const galleryFilter = { ...get().galleryFilter, ...change };
        set({ galleryFilter, selection: new Set() });
        writeStored(windowStorage, FILTER_KEY, galleryFilter);
        void load(null);
      },

      refreshGallery() {
        void load(null);
      },

      loadMoreGallery() {
        const { galleryNext, galleryState } = get();
        if (galleryNext !== null && galleryState === 'idle') void load(galleryNext);
      },

      starred(id, starred) {
        update(id, (job) => ({ ...job, isStarred: starred }));
      },

      star(id, starred) {
        get().starred(id, starred);
        http.star(id, starred).catch((failure: unknown) => {
          get().starred(id, !starred);
          get().notifyFailure(failure);
        });
      },

      remove(ids) {
        set({ selection: new Set() });
        Promise.all(ids.map((id) => http.remove(id))).then(
          () => {
            for (const id of ids) update(id, (job) => ({ ...job, isDeleted: true }));
            set({ gallery: get().gallery.filter((job) => !ids.includes(job.id)) });
            get().notify({ tone: 'undo', deletedIds: ids });
          },
          (failure: unknown) => {
            get().notifyFailure(failure);
            get().refreshGallery();
          },
        );
      },

      restore(ids) {
        Promise.all(ids.map((id) => http.restore(id)))
          .then(() => {
            for (const id of ids) update(id, (job) => ({ ...job, isDeleted: false }));
          }, get().notifyFailure)
          .finally(() => get().refreshGallery());
      },

      emptyBin() {
        http.emptyBin().then(({ removed }) => {
          get().notify({ tone: 'info', text: 'binEmptied', count: removed });
          get().refreshGallery();
        }, get().notifyFailure);
      },

      setSelection(ids) {
        set({ selection: new Set(ids) });
      },

      toggleSelected(id) {
        anchorId = id;
        const { selection } = get();
        get().setSelection(selection.has(id) ? [...selection].filter((one) => one !== id) : [...selection, id]);
      },

      selectTo(id) {
        const { gallery, selection } = get();
        const places = [anchorId ?? id, id].map((one) => gallery.findIndex((job) => job.id === one)).sort((a, b) => a - b);
        const [first = 0, last = 0] = places;
        anchorId = id;
        get().setSelection([...selection, ...gallery.slice(Math.max(0, first), last + 1).map((job) => job.id)]);
      },

      jobChanged(job) {
        const { gallery, galleryFilter } = get();
        const isPlain = Object.values(galleryFilter).every((value) => value === undefined);
        const isListed = gallery.some((listed) => listed.id === job.id);
        if (job.isDeleted && galleryFilter.deleted !== true) set({ gallery: gallery.filter((listed) => listed.id !== job.id) });
        else if (job.status !== 'completed' || isListed || job.params === null) return;
        else if (isPlain) set({ gallery: [job, ...gallery] });
        // whether it belongs there is for the server to say; who has scrolled on is not thrown back
        else if (gallery.length <= PAGE_SIZE) get().refreshGallery();
      },
    };
  };
}
