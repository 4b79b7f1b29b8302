import { useEffect } from 'react';
import { screenSchema } from '../store/screen.ts';
import type { StudioState } from '../store/state.ts';
import { useStudioStore } from './use-studio.ts';

type Place = Pick<StudioState, 'screen' | 'openImageId'>;

/** Marks a history entry that was added by opening an image. */
const OPENED = 'opened';

/** `#/gallery`, or `#/gallery/ID` while an image is open. The slash keeps addresses apart from the skip link's `#main`. */
export function addressOf({ screen, openImageId }: Place): string {
  return `#/${screen}${screen === 'gallery' && openImageId !== null ? `/${openImageId}` : ''}`;
}

/** The place that an address names; null for any other address. */
export function parseAddress(hash: string): Place | null {
  const [, name, id] = /^#\/([a-z]+)(?:\/([0-9a-f]{64}))?$/.exec(hash) ?? [];
  const screen = screenSchema.safeParse(name).data;
  return screen === undefined ? null : { screen, openImageId: screen === 'gallery' ? (id ?? null) : null };
}

/** Keeps screen and open image in the address, so that Back closes an image or returns to the previous screen, and links can be shared. */
export function useAddress(): void {
  const store = useStudioStore();
  useEffect(() => {
    const apply = () => {
      const place = parseAddress(window.location.hash);
      if (place === null) return;
      const { show, openImage, screen, openImageId } = store.getState();
      if (place.screen !== screen) show(place.screen);
      if (place.openImageId !== openImageId) openImage(place.openImageId);
    };
    if (parseAddress(window.location.hash) === null) window.history.replaceState(null, '', addressOf(store.getState()));
    else apply();

    const unsubscribe = store.subscribe((state, before) => {
      const address = addressOf(state);
      if (address === addressOf(before) || address === window.location.hash) return;
      const isClosing = before.openImageId !== null && state.openImageId === null && state.screen === before.screen;
      const isTurning = before.openImageId !== null && state.openImageId !== null;
      const isOpening = before.openImageId === null && state.openImageId !== null;
      // closing by a button is the same as Back, so that Back does not open the image again
      if (isClosing && window.history.state === OPENED) window.history.back();
      else if (isClosing || isTurning) window.history.replaceState(window.history.state, '', address);
      else window.history.pushState(isOpening ? OPENED : null, '', address);
    });
    window.addEventListener('popstate', apply);
    return () => {
      unsubscribe();
      window.removeEventListener('popstate', apply);
    };
  }, [store]);
}
