import type { Expand, Fit, RepaintMask, SourceImage } from '#main/lib/image-inputs.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { resize } from '../resize.ts';
import type { Rectangle } from './tiles.ts';

/** From here on a mask repaints. */
const REPAINTED = 128;

interface Size {
  width: number;
  height: number;
}

/** Pixels of one size with any number of channels, row-major. */
interface Layer extends Size {
  data: Uint8Array<ArrayBuffer>;
}

/** A source in the size that is generated. */
export interface Canvas {
  image: RgbImage;
  /** As large as `image`; null where everything may change. */
  mask: Layer | null;
  /** Another image in the same place and size, for one that only guides. */
  guide(other: RgbImage): RgbImage;
  /** The finished image from what was generated in the size of `image`. */
  finish(generated: RgbImage): RgbImage;
}

/**
 * Brings a source, and its mask with it, to `size` as `fit` says, and then to `generated`, which is as large or a little larger and has `size` in its middle.
 * Throws `bad_param` where the mask has another size than its source or leaves nothing to repaint.
 */
export function createCanvas({ image, fit }: SourceImage, repaint: RepaintMask | undefined, size: Size, generated: Size): Canvas {
  if (repaint === undefined) {
    const fitted = fitLayer(image, 3, fit, size, edgeMean(image));
    const guide = (other: RgbImage): RgbImage => guideOf(other, size, generated);
    return { image: grow(fitted, 3, around(size, generated)), mask: null, guide, finish: (made) => crop(made, 3, inner(size, generated)) };
  }
  const { expand } = repaint;
  const base = expand === null ? image : grow(image, 3, expand);
  const mask = expandedMask(image, repaint);
  const box = repaint.onlyMasked === null ? null : maskedBox(mask, repaint.onlyMasked.paddingPx, size);
  const part = box === null ? base : crop(base, 3, box);
  const partMask = box === null ? mask : crop(mask, 1, box);
  const shape = box === null ? fit : 'stretch';
  const fitted = fitLayer(part, 3, shape, size, edgeMean(part));
  const fittedMask = threshold(fitLayer(partMask, 1, shape, size, [255]));

  const finish = (made: RgbImage): RgbImage => {
    const middle = crop(made, 3, inner(size, generated));
    if (box === null) return repaint.composite ? blend(fitted, middle, fittedMask, repaint.featherPx) : middle;
    const back = { ...box, data: resize(middle.data, middle, box, 3) };
    return paste(base, repaint.composite ? blend(part, back, partMask, repaint.featherPx) : back, box);
  };
  const margins = around(size, generated);
  const guide = (other: RgbImage): RgbImage => guideOf(box === null ? other : crop(coverWith(other, base), 3, box), size, generated);
  return { image: grow(fitted, 3, margins), mask: grow(fittedMask, 1, margins), guide, finish };
}

/** An image that only guides: it covers `size`, in the middle of `generated`. */
export function guideOf(image: RgbImage, size: Size, generated: Size): RgbImage {
  return grow(coverWith(image, size), 3, around(size, generated));
}

function coverWith(image: RgbImage, size: Size): RgbImage {
  return fitLayer(image, 3, 'cover', size, []);
}

/** The mask in the size of the expanded source, 0 or 255. */
function expandedMask(image: RgbImage, { mask, expand }: RepaintMask): Layer {
  if (mask !== null && (mask.width !== image.width || mask.height !== image.height)) {
    const sizes = `${mask.width} x ${mask.height}; its image is ${image.width} x ${image.height}`;
    throw new AppError('bad_param', `mask is ${sizes}. Send a mask of the same size.`, { field: 'mask' });
  }
  const kept = mask === null ? { width: image.width, height: image.height, data: new Uint8Array(image.width * image.height) } : threshold(mask);
  const whole = expand === null ? kept : grow(kept, 1, expand, 255);
  if (!whole.data.includes(255)) {
    const advice = 'Paint what should change in white, or leave the mask out.';
    throw new AppError('bad_param', `mask has no pixel of ${REPAINTED} or more, so nothing would be repainted. ${advice}`, { field: 'mask' });
  }
  return whole;
}

function threshold({ width, height, data }: Layer): Layer {
  return { width, height, data: data.map((value) => (value >= REPAINTED ? 255 : 0)) };
}

/** The rectangle around all that is repainted, with padding, as near to the ratio of `size` as the mask's borders allow. */
function maskedBox(mask: Layer, paddingPx: number, size: Size): Rectangle {
  let [left, top, right, bottom] = [mask.width, mask.height, 0, 0];
  for (let y = 0; y < mask.height; y++) {
    for (let x = 0; x < mask.width; x++) {
      if (mask.data[y * mask.width + x] === 0) continue;
      [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x + 1), Math.max(bottom, y + 1)];
    }
  }
  const wanted = { width: right - left + 2 * paddingPx, height: bottom - top + 2 * paddingPx };
  const scale = Math.max(wanted.width / size.width, wanted.height / size.height);
  const horizontal = span((left + right) / 2, size.width * scale, mask.width);
  const vertical = span((top + bottom) / 2, size.height * scale, mask.height);
  return { left: horizontal.start, top: vertical.start, width: horizontal.length, height: vertical.length };
}

/** `wanted` pixels around `center`, moved and cut to lie within `limit`. */
function span(center: number, wanted: number, limit: number): { start: number; length: number } {
  const length = Math.min(limit, Math.round(wanted));
  return { start: Math.max(0, Math.min(limit - length, Math.round(center - length / 2))), length };
}

function fitLayer(layer: Layer, channels: number, fit: Fit, size: Size, background: readonly number[]): Layer {
  if (fit === 'stretch') return { ...size, data: resize(layer.data, layer, size, channels) };
  if (fit === 'cover') {
    const scale = Math.min(layer.width / size.width, layer.height / size.height);
    const part = centered(layer, { width: Math.max(1, Math.round(size.width * scale)), height: Math.max(1, Math.round(size.height * scale)) });
    return { ...size, data: resize(crop(layer, channels, part).data, part, size, channels) };
  }
  const scale = Math.min(size.width / layer.width, size.height / layer.height);
  const inside = centered(size, { width: Math.max(1, Math.round(layer.width * scale)), height: Math.max(1, Math.round(layer.height * scale)) });
  const data = new Uint8Array(size.width * size.height * channels);
  for (let i = 0; i < data.length; i++) data[i] = background[i % channels] ?? 0;
  return paste({ ...size, data }, { ...inside, data: resize(layer.data, layer, inside, channels) }, inside, channels);
}

function centered(outer: Size, { width, height }: Size): Rectangle {
  return { left: Math.floor((outer.width - width) / 2), top: Math.floor((outer.height - height) / 2), width, height };
}

function inner(size: Size, generated: Size): Rectangle {
  return centered(generated, size);
}

function around(size: Size, generated: Size): Expand {
  const { left, top } = inner(size, generated);
  return { left, top, right: generated.width - size.width - left, bottom: generated.height - size.height - top };
}

function crop(layer: Layer, channels: number, { left, top, width, height }: Rectangle): Layer {
  if (width === layer.width && height === layer.height) return layer;
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * layer.width + left) * channels;
    data.set(layer.data.subarray(start, start + width * channels), y * width * channels);
  }
  return { width, height, data };
}

/** A copy of `layer` with `part` at its place. */
function paste(layer: Layer, part: Layer, { left, top }: Pick<Rectangle, 'left' | 'top'>, channels = 3): Layer {
  const data = layer.data.slice();
  for (let y = 0; y < part.height; y++) {
    data.set(part.data.subarray(y * part.width * channels, (y + 1) * part.width * channels), ((top + y) * layer.width + left) * channels);
  }
  return { width: layer.width, height: layer.height, data };
}

/** Adds pixels on each side: `value`, or the nearest edge repeated. */
function grow(layer: Layer, channels: number, { left, top, right, bottom }: Expand, value?: number): Layer {
  if (left + top + right + bottom === 0) return layer;
  const [width, height] = [layer.width + left + right, layer.height + top + bottom];
  const data = new Uint8Array(width * height * channels);
  if (value !== undefined) {
    data.fill(value);
    return paste({ width, height, data }, layer, { left, top }, channels);
  }
  for (let y = 0; y < height; y++) {
    const row = Math.min(layer.height - 1, Math.max(0, y - top)) * layer.width;
    for (let x = 0; x < width; x++) {
      const from = (row + Math.min(layer.width - 1, Math.max(0, x - left))) * channels;
      for (let channel = 0; channel < channels; channel++) data[(y * width + x) * channels + channel] = layer.data[from + channel] ?? 0;
    }
  }
  return { width, height, data };
}

/** Mean colour of the outermost pixels. */
function edgeMean({ width, height, data }: RgbImage): number[] {
  const sums = [0, 0, 0];
  let count = 0;
  for (let y = 0; y < height; y++) {
    const isEdge = y === 0 || y === height - 1;
    for (let x = 0; x < width; x += isEdge ? 1 : Math.max(1, width - 1)) {
      for (let channel = 0; channel < 3; channel++) sums[channel] = (sums[channel] ?? 0) + (data[(y * width + x) * 3 + channel] ?? 0);
      count++;
    }
  }
  return sums.map((sum) => Math.round(sum / count));
}

/** `painted` where the mask repaints, `kept` elsewhere, bit by bit; `featherPx` inward from the mask's edge it goes from the one to the other. */
function blend(kept: RgbImage, painted: RgbImage, mask: Layer, featherPx: number): RgbImage {
  const share = featherPx === 0 ? null : edgeDistance(mask);
  const data = kept.data.slice();
  for (let pixel = 0; pixel < mask.data.length; pixel++) {
    if (mask.data[pixel] === 0) continue;
    const alpha = share === null ? 1 : Math.min(1, (share[pixel] ?? 0) / (featherPx + 1));
    for (let i = 3 * pixel; i < 3 * pixel + 3; i++) {
      const from = data[i] ?? 0;
      data[i] = alpha === 1 ? (painted.data[i] ?? 0) : Math.round(from + alpha * ((painted.data[i] ?? 0) - from));
    }
  }
  return { width: kept.width, height: kept.height, data };
}

/**
 * Distance in pixels from each masked pixel to the nearest one outside of the mask, within 4 %; the image's border is not outside.
 * Source: G. Borgefors, "Distance transformations in digital images", 1986, the 3-4 chamfer.
 */
function edgeDistance({ width, height, data }: Layer): Float32Array {
  const [STRAIGHT, DIAGONAL] = [3, 4];
  const thirds = Float32Array.from(data, (value) => (value === 0 ? 0 : Number.POSITIVE_INFINITY));
  const reach = (at: number, x: number, y: number, dx: number, dy: number): void => {
    if (x + dx < 0 || x + dx >= width || y + dy < 0 || y + dy >= height) return;
    const other = (thirds[at + dy * width + dx] ?? 0) + (dx === 0 || dy === 0 ? STRAIGHT : DIAGONAL);
    if (other < (thirds[at] ?? 0)) thirds[at] = other;
  };
  for (let at = 0; at < thirds.length; at++) {
    const [x, y] = [at % width, Math.floor(at / width)];
    for (const [dx, dy] of [
      [-1, 0],
      [-1, -1],
      [0, -1],
      [1, -1],
    ] as const)
      reach(at, x, y, dx, dy);
  }
  for (let at = thirds.length - 1; at >= 0; at--) {
    const [x, y] = [at % width, Math.floor(at / width)];
    for (const [dx, dy] of [
      [1, 0],
      [1, 1],
      [0, 1],
      [-1, 1],
    ] as const)
      reach(at, x, y, dx, dy);
  }
  return thirds.map((value) => value / STRAIGHT);
}
