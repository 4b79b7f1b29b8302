/** A rectangle in pixels. */
export interface Rectangle {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** What a tile is computed from, and the part of it that it is responsible for. */
export interface Tile {
  from: Rectangle;
  keep: Rectangle;
}

/** Input pixels that a tile keeps at most: bounds memory and the time until a cancel is obeyed. */
export const LARGEST_TILE_PIXELS = 256 * 256;

/** Wider images are cut side by side too. */
const WIDEST = 1024;

/**
 * Cuts an image into tiles of nearly equal size, of at most about `tilePixels`, that keep every pixel once; each is computed with `overlap` pixels more on every side
 * that is no edge of the image. Tiles are as wide as the pixel budget allows, since a wide tile has less overlap than a square one.
 */
export function planTiles(width: number, height: number, overlap: number, tilePixels: number): Tile[] {
  const columns = Math.ceil(width / WIDEST);
  const rows = Math.ceil(height / Math.max(1, Math.floor((tilePixels * columns) / width)));
  const tiles: Tile[] = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const left = Math.floor((column * width) / columns);
      const top = Math.floor((row * height) / rows);
      const right = Math.floor(((column + 1) * width) / columns);
      const bottom = Math.floor(((row + 1) * height) / rows);
      const fromLeft = Math.max(0, left - overlap);
      const fromTop = Math.max(0, top - overlap);
      tiles.push({
        from: { left: fromLeft, top: fromTop, width: Math.min(width, right + overlap) - fromLeft, height: Math.min(height, bottom + overlap) - fromTop },
        keep: { left, top, width: right - left, height: bottom - top },
      });
    }
  }
  return tiles;
}
