import type { BoxSize } from './box-size.ts';

/** Where the image is on the screen: its scale over the fitted size and its centre's distance from the middle of the box, in CSS pixels. */
export interface View {
  scale: number;
  x: number;
  y: number;
}

export const centered: View = { scale: 1, x: 0, y: 0 };

/** Zooms by `factor` so that the point `at` of the box, measured from its middle, keeps what it shows. */
export function zoomAt(view: View, factor: number, at: { x: number; y: number }, maxScale: number): View {
  const scale = Math.min(maxScale, Math.max(1, view.scale * factor));
  const grown = scale / view.scale;
  return { scale, x: at.x - (at.x - view.x) * grown, y: at.y - (at.y - view.y) * grown };
}

/** Keeps the image over the box: no further than its edges, in the middle where it is smaller than the box. */
export function clampView(view: View, fit: BoxSize, box: BoxSize): View {
  const clamp = (offset: number, shown: number, room: number) => {
    const most = Math.max(0, (shown - room) / 2);
    return Math.min(most, Math.max(-most, offset));
  };
  return { scale: view.scale, x: clamp(view.x, fit.width * view.scale, box.width), y: clamp(view.y, fit.height * view.scale, box.height) };
}
