import { useEffect } from 'react';
import type { GalleryFilter } from '../store/gallery-filter.ts';
import { type SettingsPart, screenSchema, settingsPartSchema } from '../store/screen.ts';
import type { StudioState } from '../store/state.ts';
import { useStudioStore } from './use-studio.ts';

/** What an address names. */
interface Place extends Pick<StudioState, 'screen' | 'openImageId'> {
  settingsPart: SettingsPart | null;
  /** The search and the part of the gallery; other filters belong to the window only. */
  galleryFilter: Pick<GalleryFilter, 'query' | 'starred' | 'deleted'>;
}

/** Marks a history entry that was added by opening an image. */
const OPENED = 'opened';

/** `#/gallery/ID?q=fox&in=starred`, `#/settings/storage` and the like. The slash keeps addresses apart from the skip link's `#main`. */
export function addressOf({ screen, openImageId, settingsPart, galleryFilter: { query, starred, deleted } }: Place): string {
  if (screen === 'settings') return `#/settings${settingsPart === null ? '' : `/${settingsPart}`}`;
  if (screen !== 'gallery') return `#/${screen}`;
  const search = new URLSearchParams();
  if (query !== undefined) search.set('q', query);
  if (starred === true || deleted === true) search.set('in', deleted === true ? 'bin' : 'starred');
  return `#/gallery${openImageId === null ? '' : `/${openImageId}`}${search.size === 0 ? '' : `?${search}`}`;
}

/** The place that an address names; null for any other address. */
export function parseAddress(hash: string): Place | null {
  const [, name, rest, search = ''] = /^#\/([a-z]+)(?:\/([0-9a-z]+))?(?:\?(.*))?$/.exec(hash) ?? [];
  const screen = screenSchema.safeParse(name).data;
  if (screen === undefined) return null;
  const isId = rest !== undefined && /^[0-9a-f]{64}$/.test(rest);
  const settingsPart = settingsPartSchema.safeParse(rest).data ?? null;
  if (rest !== undefined && !(screen === 'gallery' && isId) && !(screen === 'settings' && settingsPart !== null)) return null;
  const params = new URLSearchParams(screen === 'gallery' ? search : '');
  const query = params.get('q') ?? undefined;
  return {
    screen,
    openImageId: isId ? rest : null,
    settingsPart,
    galleryFilter: { query, starred: params.get('in') === 'starred' ? true : undefined, deleted: params.get('in') === 'bin' ? true : undefined },
  };
}

/** Keeps screen, section, open image and search in the address, so that Back closes an image or returns to the previous screen, and links can be shared. */
export function useAddress(): void {
  const store = useStudioStore();
  useEffect(() => {
    const apply = () => {
      const place = parseAddress(window.location.hash);
      if (place === null) return;
      const { show, showSettings, openImage, filterGallery, ...now } = store.getState();
      const { query, starred, deleted } = now.galleryFilter;
      const wanted = place.galleryFilter;
      if (place.screen === 'gallery' && (query !== wanted.query || starred !== wanted.starred || deleted !== wanted.deleted)) filterGallery(wanted);
      if (place.screen === 'settings') {
        if (now.screen !== 'settings' || place.settingsPart !== now.settingsPart) showSettings(place.settingsPart);
      } else if (place.screen !== now.screen) show(place.screen);
      if (place.openImageId !== now.openImageId) openImage(place.openImageId);
    };
    if (parseAddress(window.location.hash) === null) window.history.replaceState(null, '', addressOf(store.getState()));
    else apply();

    let isGoingBack = false;
    const onPopState = () => {
      if (!isGoingBack) return apply();
      // going back takes a moment, in which the state may have moved on
      isGoingBack = false;
      window.history.replaceState(window.history.state, '', addressOf(store.getState()));
    };
    const unsubscribe = store.subscribe((state, before) => {
      const address = addressOf(state);
      if (address === addressOf(before) || address === window.location.hash) return;
      const isClosing = before.openImageId !== null && state.openImageId === null && state.screen === before.screen;
      const isTurning = before.openImageId !== null && state.openImageId !== null;
      const isOpening = before.openImageId === null && state.openImageId !== null;
      const isFiltering = state.screen === before.screen && state.galleryFilter !== before.galleryFilter;
      // closing by a button is the same as Back, so that Back does not open the image again
      if (isClosing && window.history.state === OPENED) {
        isGoingBack = true;
        window.history.back();
      } else if (isClosing || isTurning || isFiltering) window.history.replaceState(window.history.state, '', address);
      else window.history.pushState(isOpening ? OPENED : null, '', address);
    });
    window.addEventListener('popstate', onPopState);
    return () => {
      unsubscribe();
      window.removeEventListener('popstate', onPopState);
    };
  }, [store]);
}
