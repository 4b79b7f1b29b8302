import type { GallerySlice } from './state.ts';

type Selected = Pick<GallerySlice, 'selection'>;

/** The selection of the gallery. Every function returns the state to set. */
export interface GallerySelection {
  set(ids: Iterable<string>): Selected;
  toggle(id: string): Selected;
  /** The range from the anchor, the image toggled last, to `id`. Without an anchor in the list only `id` is added. */
  extendTo(id: string): Selected;
  /** What remains selected when the list becomes `gallery`: a bulk action must not touch images that are not listed. */
  within(gallery: GallerySlice['gallery']): Selected;
}

export function createGallerySelection(get: () => Pick<GallerySlice, 'gallery' | 'selection'>): GallerySelection {
  /** `others` was selected before the range from `id` was drawn, so the range can shrink again. */
  let anchor: { id: string; others: ReadonlySet<string> } | null = null;

  return {
    set(ids) {
      anchor = null;
      return { selection: new Set(ids) };
    },

    toggle(id) {
      const selection = new Set(get().selection);
      if (!selection.delete(id)) selection.add(id);
      anchor = selection.has(id) ? { id, others: selection } : null;
      return { selection };
    },

    extendTo(id) {
      const { gallery, selection } = get();
      const from = gallery.findIndex((job) => job.id === anchor?.id);
      const to = gallery.findIndex((job) => job.id === id);
      if (anchor === null || from === -1 || to === -1) {
        const others = new Set([...selection, id]);
        anchor = { id, others };
        return { selection: others };
      }
      const range = gallery.slice(Math.min(from, to), Math.max(from, to) + 1).map((job) => job.id);
      return { selection: new Set([...anchor.others, ...range]) };
    },

    within(gallery) {
      const { selection } = get();
      if (selection.size === 0) return { selection };
      const listed = new Set(gallery.map(({ id }) => id));
      const kept = [...selection].filter((id) => listed.has(id));
      return { selection: kept.length === selection.size ? selection : new Set(kept) };
    },
  };
}
