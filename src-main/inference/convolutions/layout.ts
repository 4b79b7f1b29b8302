import type { Convolution, ConvolutionNetwork } from '#main/lib/compiled.ts';

/** Where everything lies in the memory that the threads share: addresses and sizes in bytes. */

/** Output pixels that a tile has a side, and tiles that a thread takes at a time; see `kernels/convolution.ts`. */
const TILE = 6;
const BLOCK = 12;
const POINTS = 64;
const FLOAT = 4;
/** Fields of a convolution's record. */
const RECORD_FIELDS = 23;
/** Everything begins on a line of the cache. */
const LINE = 64;
/** A patch between its transforms and a line of it, at the start of a thread's scratch. */
const PATCH_BYTES = 1024 + 128;

/** The counters of the phases; see `phases.ts`. */
const CONTROL_BYTES = 64 * 1024;

/** An image in memory: the address of its first pixel, and from one row and one pixel to the next. */
export interface PlacedImage {
  base: number;
  row: number;
  pixel: number;
}

/** Weights [inChannels, 3, 3, outChannels], bias and slopes [outChannels], with the channels filled up by zeros. */
export interface PlacedWeights {
  inChannels: number;
  outChannels: number;
  weights: number;
  bias: number;
  slopes: number;
}

/** What does not depend on the picture. */
export interface NetworkLayout {
  control: number;
  records: number;
  weights: ReadonlyMap<Convolution, PlacedWeights>;
  panels: number;
  /** Of the first thread, and from one to the next. */
  scratch: number;
  scratchBytes: number;
  end: number;
}

/** What does. */
export interface PictureLayout {
  images: PlacedImage[];
  /** The result, floats [3, height, width], and bytes [height, width, 3]. */
  planes: number;
  pixels: number;
  end: number;
}

export function convolutionsOf(network: ConvolutionNetwork): Convolution[] {
  return network.layers.filter((layer) => layer.kind === 'convolution');
}

export function layOutNetwork(network: ConvolutionNetwork, threads: number): NetworkLayout {
  const convolutions = convolutionsOf(network);
  const place = allocator(CONTROL_BYTES);
  const records = place(convolutions.length * RECORD_FIELDS * FLOAT);
  const weights = new Map<Convolution, PlacedWeights>();
  let panelBytes = 0;
  let scratchBytes = 0;
  for (const layer of convolutions) {
    const inChannels = roundUp(layer.inChannels, 4);
    const outChannels = roundUp(layer.outChannels, 8);
    weights.set(layer, {
      inChannels,
      outChannels,
      weights: place(inChannels * 9 * outChannels * FLOAT),
      bias: place(outChannels * FLOAT),
      slopes: place(outChannels * FLOAT),
    });
    panelBytes = Math.max(panelBytes, POINTS * inChannels * outChannels * FLOAT);
    scratchBytes = Math.max(scratchBytes, PATCH_BYTES + POINTS * ((inChannels + outChannels) * BLOCK * FLOAT + 2 * LINE));
  }
  const panels = place(panelBytes);
  scratchBytes = roundUp(scratchBytes, LINE);
  const scratch = place(threads * scratchBytes);
  return { control: 0, records, weights, panels, scratch, scratchBytes, end: place(0) };
}

export function layOutPicture(network: ConvolutionNetwork, start: number, width: number, height: number): PictureLayout {
  const place = allocator(start);
  const images = network.images.map(({ channels, enlargement }): PlacedImage => {
    const pixel = channels * FLOAT;
    const row = (roundUp(width * enlargement, TILE) + 2) * pixel;
    return { base: place((roundUp(height * enlargement, TILE) + 2) * row) + row + pixel, row, pixel };
  });
  const values = 3 * width * height * scaleOf(network) ** 2;
  return { images, planes: place(values * FLOAT), pixels: place(values), end: place(0) };
}

/** How often the sides of a picture are those of the result. */
export function scaleOf({ images, result }: ConvolutionNetwork): number {
  return result.factor * (images[result.image]?.enlargement ?? 1);
}

/** Bytes that a pixel of a picture takes, but for the images' margins. */
export function bytesPerPixel(network: ConvolutionNetwork): number {
  const inImages = network.images.reduce((sum, { channels, enlargement }) => sum + channels * FLOAT * enlargement ** 2, 0);
  return inImages + 3 * (FLOAT + 1) * scaleOf(network) ** 2;
}

/** Blocks of tiles of an image. */
export function blocksOf(width: number, height: number): number {
  return Math.ceil((Math.ceil(width / TILE) * Math.ceil(height / TILE)) / BLOCK);
}

/** Tiles before block `block`. */
export function firstTileOf(block: number): number {
  return block * BLOCK;
}

/** Writes the records of all convolutions, in the order of the fields of `Convolution` in `kernels/convolution.ts`; gives their addresses. */
export function writeRecords(
  memory: ArrayBufferLike,
  network: ConvolutionNetwork,
  layout: NetworkLayout,
  picture: PictureLayout,
  width: number,
  height: number,
): Map<Convolution, number> {
  const [integers, floats] = [new Int32Array(memory), new Float32Array(memory)];
  const records = new Map<Convolution, number>();
  for (const [layer, placed] of layout.weights) {
    const address = layout.records + records.size * RECORD_FIELDS * FLOAT;
    records.set(layer, address);
    let field = address / FLOAT;
    const integer = (value: number): void => {
      integers[field++] = value;
    };
    const float = (value: number): void => {
      floats[field++] = value;
    };
    const image = (index: number, channel = 0): void => {
      const { base, row, pixel } = imageAt(picture, index);
      integer(base + channel * FLOAT);
      integer(row);
      integer(pixel);
    };
    const enlargement = network.images[layer.output]?.enlargement ?? 1;
    const [first, second] = layer.added;
    image(layer.input);
    integer(placed.inChannels);
    image(layer.output, layer.outStart);
    integer(placed.outChannels);
    integer(width * enlargement);
    integer(height * enlargement);
    integer(BLOCK);
    integer(placed.weights);
    integer(layout.panels);
    integer(placed.bias);
    integer(placed.slopes);
    float(layer.scale);
    if (first) image(first.image);
    else field += 3;
    float(first?.scale ?? 0);
    if (second) image(second.image);
  }
  return records;
}

export function imageAt({ images }: PictureLayout, index: number): PlacedImage {
  const image = images[index];
  if (image === undefined) throw new RangeError(`image ${index} of ${images.length}`);
  return image;
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
