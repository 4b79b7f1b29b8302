import type { Convolution, ConvolutionNetwork } from '#main/lib/compiled.ts';

/** Layout of the memory that the threads share: addresses and sizes in bytes. */

export const FLOAT = 4;
/** Output pixels that a tile has a side; see `kernels/convolution.ts`. */
const TILE = 6;
/** Tiles that a thread takes at a time. */
export const BLOCK = 12;
const POINTS = 64;
/** Everything begins on a line of the cache. */
const LINE = 64;
/** A patch between its transforms and a line of it, at the start of a thread's scratch. */
const PATCH_BYTES = 1024 + 128;
/** The counters of the phases; see `phases.ts`. */
const CONTROL_BYTES = 64 * 1024;
/** Fields of a convolution's record. */
const RECORD_FIELDS = 23;

/** An image in memory: the address of its first pixel, and from one row and one pixel to the next; its sides, and its rows with the margins. */
export interface PlacedImage {
  base: number;
  row: number;
  pixel: number;
  channels: number;
  width: number;
  height: number;
  rows: number;
}

/** A convolution's weights as the kernels read them, channels filled up by zeros. */
export interface PlacedWeights {
  inChannels: number;
  outChannels: number;
  /** What a kernel is given of the convolution. */
  record: number;
  /** [inChannels, 3, 3, outChannels]. */
  weights: number;
  /** [outChannels]. */
  bias: number;
  slopes: number;
  /** [64, outChannels / 8, inChannels, 8], of its own or shared by all; see `keepsPanels`. */
  panels: number;
}

/** What does not depend on the size of the image. */
export interface NetworkLayout {
  control: number;
  weights: ReadonlyMap<Convolution, PlacedWeights>;
  /** Whether each convolution has panels of its own, to be filled once. */
  keepsPanels: boolean;
  /** Address for the first thread, and distance to the next. */
  scratch: number;
  scratchBytes: number;
  end: number;
}

/** What depends on the size of the image. */
export interface SizedLayout {
  images: PlacedImage[];
  /** Indexes of the images that are first needed at each layer; under -1 those needed before the first one. */
  born: ReadonlyMap<number, number[]>;
  /** The result: its number of values, as floats [3, height, width] and as bytes [height, width, 3]. */
  length: number;
  planes: number;
  pixels: number;
  end: number;
}

/** Up to this many bytes of panels, seven times the weights, are kept for all layers; otherwise the panels of one layer at a time. */
const MOST_PANELS = 2 ** 26;

/** Blocks of tiles of an image. */
export function blocksOf({ width, height }: PlacedImage): number {
  return Math.ceil((Math.ceil(width / TILE) * Math.ceil(height / TILE)) / BLOCK);
}

/** Sides of the result over sides of the input. */
function scaleOf({ images, result }: ConvolutionNetwork): number {
  return result.factor * (images[result.image]?.enlargement ?? 1);
}

/** Bytes that an image takes beside the weights. */
export function sizedBytes(network: ConvolutionNetwork, width: number, height: number): number {
  return layOutSize(network, 0, width, height).end;
}

export function layOutNetwork(network: ConvolutionNetwork, threads: number): NetworkLayout {
  const convolutions = network.layers.filter((layer) => layer.kind === 'convolution');
  const place = allocator(CONTROL_BYTES);
  const panels = convolutions.map(panelBytes);
  const keepsPanels = panels.reduce((sum, bytes) => sum + bytes, 0) <= MOST_PANELS;
  const shared = place(keepsPanels ? 0 : Math.max(...panels));
  const weights = new Map<Convolution, PlacedWeights>();
  let scratchBytes = 0;
  for (const [i, layer] of convolutions.entries()) {
    const [inChannels, outChannels] = [roundUp(layer.inChannels, 4), roundUp(layer.outChannels, 8)];
    weights.set(layer, {
      inChannels,
      outChannels,
      record: place(RECORD_FIELDS * FLOAT),
      weights: place(9 * inChannels * outChannels * FLOAT),
      bias: place(outChannels * FLOAT),
      slopes: place(outChannels * FLOAT),
      panels: keepsPanels ? place(panels[i] ?? 0) : shared,
    });
    scratchBytes = Math.max(scratchBytes, PATCH_BYTES + POINTS * ((inChannels + outChannels) * BLOCK * FLOAT + 2 * LINE));
  }
  scratchBytes = roundUp(scratchBytes, LINE);
  const scratch = place(threads * scratchBytes);
  return { control: 0, weights, keepsPanels, scratch, scratchBytes, end: place(0) };
}

function panelBytes({ inChannels, outChannels }: Convolution): number {
  return POINTS * roundUp(inChannels, 4) * roundUp(outChannels, 8) * FLOAT;
}

export function layOutSize(network: ConvolutionNetwork, start: number, width: number, height: number): SizedLayout {
  const place = allocator(start);
  const length = 3 * width * height * scaleOf(network) ** 2;
  const planes = place(length * FLOAT);
  const pixels = place(length);
  const sizes = network.images.map(({ channels, enlargement }) => {
    const pixel = channels * FLOAT;
    const [wide, high] = [width * enlargement, height * enlargement];
    const [row, rows] = [(roundUp(wide, TILE) + 2) * pixel, roundUp(high, TILE) + 2];
    return { row, pixel, channels, width: wide, height: high, rows };
  });
  const lives = livesOf(network);
  const addresses = share(
    sizes.map(({ row, rows }) => roundUp(row * rows, LINE)),
    lives,
  );
  const first = place(0);
  const images = sizes.map((size, i) => ({ ...size, base: first + (addresses[i] ?? 0) + size.row + size.pixel }));
  const born = new Map<number, number[]>();
  for (const [i, { from }] of lives.entries()) born.set(from, [...(born.get(from) ?? []), i]);
  const end = Math.max(...images.map(({ base, row, pixel, rows }) => base - row - pixel + row * rows));
  return { images, born, length, planes, pixels, end: roundUp(end, LINE) };
}

export function imageAt({ images }: SizedLayout, index: number): PlacedImage {
  const image = images[index];
  if (image === undefined) throw new RangeError(`image ${index} of ${images.length}`);
  return image;
}

/** From the layer that first writes an image to the last one that reads or writes it; what goes in lives from -1 on, the result to the end. */
interface Life {
  from: number;
  to: number;
}

function livesOf({ images, layers, result }: ConvolutionNetwork): Life[] {
  const lives = images.map((_, i): Life => ({ from: i === 0 ? -1 : layers.length, to: -1 }));
  const use = (image: number, layer: number, writes: boolean): void => {
    const life = lives[image];
    if (life === undefined) return;
    if (writes) life.from = Math.min(life.from, layer);
    life.to = Math.max(life.to, layer);
  };
  for (const [i, layer] of layers.entries()) {
    use(layer.input, i, false);
    use(layer.output, i, true);
    if (layer.kind === 'convolution') for (const { image } of layer.added) use(image, i, false);
  }
  use(result.image, layers.length, false);
  if (result.addsInput) use(0, layers.length, false);
  return lives;
}

/** Addresses of blocks of `sizes` bytes, the lowest ones that nothing has which lives at the same time. */
function share(sizes: readonly number[], lives: readonly Life[]): number[] {
  const addresses: number[] = [];
  const order = lives.map((_, i) => i).sort((a, b) => (lives[a]?.from ?? 0) - (lives[b]?.from ?? 0));
  const placed: { from: number; to: number; start: number; end: number }[] = [];
  for (const i of order) {
    const [{ from = 0, to = 0 } = {}, size = 0] = [lives[i], sizes[i]];
    let start = 0;
    for (const other of placed.toSorted((a, b) => a.start - b.start)) {
      if (other.from > to || other.to < from) continue;
      if (other.start >= start + size) break;
      start = Math.max(start, other.end);
    }
    addresses[i] = start;
    placed.push({ from, to, start, end: start + size });
  }
  return addresses;
}

/** Places one thing behind the other. */
function allocator(start: number): (bytes: number) => number {
  let end = start;
  return (bytes) => {
    const address = end;
    end = roundUp(end + bytes, LINE);
    return address;
  };
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
