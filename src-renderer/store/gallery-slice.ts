import type { StateCreator } from 'zustand/vanilla';
import type { JobPage, JobQuery } from '#shared/domain/job-record.ts';
import { readStored, writeStored } from '../client/stored.ts';
import { createBulkCall } from './bulk-call.ts';
import { anyDates, rangeOf } from './date-range.ts';
import { galleryFilterSchema } from './gallery-filter.ts';
import { createGallerySelection } from './gallery-selection.ts';
import { isKnown, type Job, jobFromRecord } from './jobs.ts';
import { parseSearch } from './search-query.ts';
import { createStarChanges } from './star-changes.ts';
import type { GallerySlice, StudioDeps, StudioState } from './state.ts';

const PAGE_SIZE = 200;
const MAX_PAGE_SIZE = 500;
/** A refresh reloads at most this many images; the rest of the list is kept. */
const MAX_REFRESHED = 2000;
const FILTER_KEY = 'zimage.gallery-filter';

type Needs = GallerySlice & Pick<StudioState, 'jobs' | 'refreshClients' | 'notify' | 'dismissUndo' | 'notifyFailure'>;

export function createGallerySlice({
  http,
  now,
  windowStorage,
}: Pick<StudioDeps, 'http' | 'now' | 'windowStorage'>): StateCreator<Needs, [], [], GallerySlice> {
  /** Responses to any but the latest question are dropped. */
  let latestQuestion = 0;

  return (set, get) => {
    /** The conditions that the gallery shows, for the server. */
    const conditions = (): Omit<JobQuery, 'limit' | 'before' | 'order'> => {
      const { dates = anyDates, query = '', order: _order, ...filter } = get().galleryFilter;
      return { ...parseSearch(query), ...definedOf(filter), ...definedOf(rangeOf(dates, now())), status: 'completed' };
    };

    const list = (before: number | null, limit: number): Promise<JobPage> => {
      const { order = 'newest' } = get().galleryFilter;
      return http.listJobs({ ...conditions(), order, limit, ...(before === null ? {} : { before }) });
    };

    /** Runs `work` as the latest question; its result is dropped if another one was asked meanwhile. */
    async function ask(work: () => Promise<Pick<GallerySlice, 'gallery' | 'galleryNext'> & Partial<Pick<GallerySlice, 'galleryArrivals'>>>): Promise<void> {
      const question = ++latestQuestion;
      set({ galleryState: 'loading' });
      try {
        const loaded = await work();
        if (question === latestQuestion) set({ ...selection.within(loaded.gallery), ...loaded, galleryState: 'idle' });
      } catch (failure) {
        if (question !== latestQuestion) return;
        set({ galleryState: 'failed' });
        get().notifyFailure(failure);
      }
    }

    async function firstPage() {
      const page = await list(null, PAGE_SIZE);
      return { gallery: page.jobs.map(jobFromRecord), galleryNext: page.next };
    }

    async function reloaded() {
      const wanted = Math.min(MAX_REFRESHED, Math.max(PAGE_SIZE, get().gallery.length));
      const fresh: Job[] = [];
      let next: number | null = null;
      do {
        const page: JobPage = await list(next, Math.min(MAX_PAGE_SIZE, wanted - fresh.length));
        fresh.push(...page.jobs.map(jobFromRecord));
        next = page.next;
      } while (next !== null && fresh.length < wanted);
      const { gallery, galleryNext, galleryPlace } = get();
      const lastKnownAt = next === null ? -1 : gallery.findIndex(({ id }) => id === fresh.at(-1)?.id);
      const freshIds = new Set(fresh.map(({ id }) => id));
      const rest = lastKnownAt === -1 ? [] : gallery.slice(lastKnownAt + 1).filter(({ id }) => !freshIds.has(id));
      const knownIds = new Set(gallery.map(({ id }) => id));
      const firstKnownAt =
        galleryPlace.scrollTopPx > 0
          ? Math.max(
              0,
              fresh.findIndex(({ id }) => knownIds.has(id)),
            )
          : 0;
      return {
        gallery: [...fresh.slice(firstKnownAt), ...rest],
        galleryArrivals: fresh.slice(0, firstKnownAt),
        galleryNext: lastKnownAt === -1 ? next : galleryNext,
      };
    }

    /** Changes images wherever they are shown. */
    function update(ids: readonly string[], change: Partial<Job>): void {
      const changed = new Set(ids);
      const { gallery, jobs } = get();
      const known = ids.flatMap((id) => (jobs[id] === undefined ? [] : [[id, { ...jobs[id], ...change }] as const]));
      set({
        gallery: gallery.map((job) => (changed.has(job.id) ? { ...job, ...change } : job)),
        ...(known.length === 0 ? {} : { jobs: { ...jobs, ...Object.fromEntries(known) } }),
      });
    }

    /** Takes images out of the list and out of the selection. */
    function takeOut(ids: ReadonlySet<string>): void {
      const gallery = get().gallery.filter((job) => !ids.has(job.id));
      set({ ...selection.within(gallery), gallery, galleryArrivals: get().galleryArrivals.filter((job) => !ids.has(job.id)) });
    }

    /** Puts new images at the top, or holds them back while the grid is scrolled down. */
    function arrive(jobs: readonly Job[]): void {
      const { gallery, galleryArrivals, galleryPlace } = get();
      if (galleryPlace.scrollTopPx > 0) set({ galleryArrivals: [...jobs, ...galleryArrivals] });
      else set({ gallery: [...jobs, ...gallery] });
    }

    const callForMany = createBulkCall({ call: http.bulk, notify: (notice) => get().notify(notice), notifyFailure: (failure) => get().notifyFailure(failure) });
    const selection = createGallerySelection(get);
    const stars = createStarChanges({
      call: http.star,
      current: (id) => (get().gallery.find((job) => job.id === id) ?? get().jobs[id])?.isStarred ?? false,
      show: (id, isStarred) => update([id], { isStarred }),
      notifyFailure: (failure) => get().notifyFailure(failure),
    });

    return {
      gallery: [],
      galleryFilter: readStored(windowStorage, FILTER_KEY, galleryFilterSchema, {}),
      galleryNext: null,
      galleryState: 'loading',
      selection: new Set(),
      gallerySizes: [],
      labels: [],
      openImageId: null,
      galleryPlace: { scrollTopPx: 0, focusedId: null },
      galleryArrivals: [],

      openImage(id) {
        set({ openImageId: id });
        if (id === null || get().jobs[id] !== undefined || get().gallery.some((job) => job.id === id)) return;
        http.job(id).then(
          (record) => set({ jobs: { ...get().jobs, [id]: jobFromRecord(record) } }),
          (failure: unknown) => {
            set({ openImageId: null });
            get().notifyFailure(failure);
          },
        );
      },

      setGalleryPlace(change) {
        set({ galleryPlace: { ...get().galleryPlace, ...change } });
        if (change.scrollTopPx === 0) get().showArrivals();
      },

      showArrivals() {
        const { gallery, galleryArrivals } = get();
        if (galleryArrivals.length > 0) set({ gallery: [...galleryArrivals, ...gallery], galleryArrivals: [] });
      },

      refreshGalleryChoices() {
        http.sizes().then(({ sizes }) => set({ gallerySizes: sizes }), get().notifyFailure);
        http.labels().then(({ labels }) => set({ labels }), get().notifyFailure);
        get().refreshClients();
      },

      filterGallery(change) {
        const galleryFilter = { ...get().galleryFilter, ...change };
        set({ galleryFilter, ...selection.set([]), galleryArrivals: [], galleryPlace: { scrollTopPx: 0, focusedId: null } });
        writeStored(windowStorage, FILTER_KEY, galleryFilter);
        void ask(firstPage);
      },

      refreshGallery() {
        void ask(reloaded);
      },

      loadMoreGallery() {
        const { galleryNext, galleryState } = get();
        if (galleryNext === null || galleryState !== 'idle') return;
        void ask(async () => {
          const page = await list(galleryNext, PAGE_SIZE);
          return { gallery: [...get().gallery, ...page.jobs.map(jobFromRecord)], galleryNext: page.next };
        });
      },

      starred: (id, isStarred) => stars.confirmed(id, isStarred),
      star: (id, isStarred) => stars.change(id, isStarred),

      async starMany(ids, isStarred) {
        const done = await callForMany(ids, isStarred ? 'star' : 'unstar');
        update(done, { isStarred });
      },

      async setLabel(ids, label, isSet) {
        const changed = await callForMany(ids, isSet ? 'add_label' : 'remove_label', label);
        if (changed.length === 0) return;
        get().notify({
          ...{ tone: 'undo', count: changed.length, name: label.name, undo: () => void get().setLabel(changed, label, !isSet) },
          text: isSet ? 'labelAdded' : 'labelRemoved',
        });
        get().refreshGalleryChoices();
        // the list may be that of this album
        if (/album:|tag:/i.test(get().galleryFilter.query ?? '')) get().refreshGallery();
      },

      async downloadMany(choice) {
        set({ isZipping: true });
        try {
          return await http.zip(choice);
        } catch (failure) {
          get().notifyFailure(failure);
          return null;
        } finally {
          set({ isZipping: false });
        }
      },

      isZipping: false,
      compared: null,
      compareImages: (compared) => set({ compared }),

      async remove(ids) {
        set(selection.set([]));
        const deleted = await callForMany(ids, 'delete');
        if (deleted.length === 0) return;
        update(deleted, { isDeleted: true });
        // the bin may have been opened in the meantime
        if (get().galleryFilter.deleted === true) get().refreshGallery();
        else takeOut(new Set(deleted));
        get().notify({ tone: 'undo', text: 'deleted', count: deleted.length, undo: () => get().restore(deleted) });
      },

      async restore(ids) {
        const restored = await callForMany(ids, 'restore');
        update(restored, { isDeleted: false });
        get().dismissUndo('deleted');
        get().refreshGallery();
      },

      async removePermanently(ids) {
        set(selection.set([]));
        const deleted = await callForMany(ids, 'delete_permanently');
        if (deleted.length === 0) return;
        takeOut(new Set(deleted));
        get().notify({ tone: 'info', text: 'permanentlyDeleted', count: deleted.length });
      },

      emptyBin() {
        http.emptyBin().then(({ removed }) => {
          get().notify({ tone: 'info', text: 'permanentlyDeleted', count: removed });
          get().refreshGallery();
        }, get().notifyFailure);
      },

      setSelection: (ids) => set(selection.set(ids)),
      toggleSelected: (id) => set(selection.toggle(id)),
      selectTo: (id) => set(selection.extendTo(id)),

      jobChanged(job) {
        const { gallery, galleryFilter } = get();
        const isUnfiltered = Object.values(galleryFilter).every((value) => value === undefined);
        const isListed = [...get().galleryArrivals, ...gallery].some((listed) => listed.id === job.id);
        if (job.isDeleted !== (galleryFilter.deleted === true)) {
          if (isListed) takeOut(new Set([job.id]));
        } else if (job.status !== 'completed' || isListed || !isKnown(job)) return;
        else if (isUnfiltered) arrive([job]);
        // only the server knows whether the image passes the filter
        else get().refreshGallery();
      },
    };
  };
}

/** Without the conditions that are not set. */
function definedOf<T extends object>(conditions: T): T {
  return Object.fromEntries(Object.entries(conditions).filter(([, value]) => value !== undefined)) as T;
}
