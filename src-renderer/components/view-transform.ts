import type { BoxSize } from './box-size.ts';

/** Position of an image: its scale relative to the fitted size, and the offset of its centre from the centre of the box in CSS pixels. */
export interface View {
  scale: number;
  x: number;
  y: number;
}

export const centered: View = { scale: 1, x: 0, y: 0 };

/** Zooms by `factor` around the point `at`, which is measured from the centre of the box. */
export function zoomAt(view: View, factor: number, at: { x: number; y: number }, maxScale: number): View {
  const scale = Math.min(maxScale, Math.max(1, view.scale * factor));
  const grown = scale / view.scale;
  return { scale, x: at.x - (at.x - view.x) * grown, y: at.y - (at.y - view.y) * grown };
}

/** Limits panning to the edges of the image, and centres an image that is smaller than the box. */
export function clampView(view: View, fit: BoxSize, box: BoxSize): View {
  const clamp = (offset: number, shown: number, room: number) => {
    const most = Math.max(0, (shown - room) / 2);
    return Math.min(most, Math.max(-most, offset));
  };
  return { scale: view.scale, x: clamp(view.x, fit.width * view.scale, box.width), y: clamp(view.y, fit.height * view.scale, box.height) };
}
