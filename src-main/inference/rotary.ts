/** cos and sin, [rows, width] each, row-major. */
export interface RotaryTables {
  cos: Float32Array;
  sin: Float32Array;
  rows: number;
  width: number;
}

export interface RopeSettings {
  theta: number;
  /** Channels of a head by axis. */
  axes: readonly number[];
}

/** Where a token is, by axis. */
export type TokenPosition = readonly number[];

/**
 * Angles of `positions` for queries and keys whose neighbouring channels are turned together; width is half a head. Angles are formed in float64 and, for
 * Z-Image, rounded once, as `RopeEmbedder.precompute_freqs_cis` of diffusers 0.42.1 does; `Flux2PosEmbed` rounds only what comes of them.
 */
export function rotaryTables(settings: RopeSettings, positions: readonly TokenPosition[], rounded: (angle: number) => number = Math.fround): RotaryTables {
  const frequencies = settings.axes.flatMap((channels, axis) =>
    Array.from({ length: channels / 2 }, (_, i) => ({ axis, frequency: 1 / settings.theta ** ((2 * i) / channels) })),
  );
  const width = frequencies.length;
  const cos = new Float32Array(positions.length * width);
  const sin = new Float32Array(positions.length * width);
  for (const [row, position] of positions.entries()) {
    for (const [column, { axis, frequency }] of frequencies.entries()) {
      const angle = rounded((position[axis] ?? 0) * frequency);
      cos[row * width + column] = Math.cos(angle);
      sin[row * width + column] = Math.sin(angle);
    }
  }
  return { cos, sin, rows: positions.length, width };
}

/** For Z-Image, by place in the sequence, row and column. Caption tokens count from 1 on, padding included. */
export function captionPositions(paddedTokens: number): TokenPosition[] {
  return Array.from({ length: paddedTokens }, (_, i) => [i + 1, 0, 0]);
}

/** Image tokens come after the caption, by row and column; padding tokens are at the origin. */
export function imagePositions(rows: number, columns: number, paddedTokens: number, paddedCaptionTokens: number): TokenPosition[] {
  return Array.from({ length: paddedTokens }, (_, i) => (i < rows * columns ? [paddedCaptionTokens + 1, Math.floor(i / columns), i % columns] : [0, 0, 0]));
}
