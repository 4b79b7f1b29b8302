import { MAX_PROMPT_TOKENS } from '#main/lib/compiled.ts';
import type { TokenPosition } from './rotary.ts';

/** Tokens of an image. */
export interface TokenGrid {
  rows: number;
  columns: number;
}

/** Between the image and each reference. */
const TIME_STEP = 10;

/** Time, row, column and place in the text of all tokens: text, image, then each reference at a time of its own. */
export function kleinPositions(image: TokenGrid, references: readonly TokenGrid[]): TokenPosition[] {
  const text = Array.from({ length: MAX_PROMPT_TOKENS }, (_, i) => [0, 0, 0, i]);
  const grids = [image, ...references].map(({ rows, columns }, at) =>
    Array.from({ length: rows * columns }, (_, i) => [at * TIME_STEP, Math.floor(i / columns), i % columns, 0]),
  );
  return [text, ...grids].flat();
}
