/**
 * Kernels of a convolutional network, in AssemblyScript. Each exported kernel does one unit of work, such as a row. Its last arguments are the unit and
 * the scratch memory of its thread.
 *
 * 3 x 3 convolutions use Winograd's F(6 x 6, 3 x 3): 64 products for 36 output values, where a plain convolution takes 324.
 * Method: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015; the points are 0, 1, -1, 2, -2, 1/2, -1/2 and infinity.
 *
 * Images are stored pixel by pixel with the channels together (NHWC) and a margin of zeros: one pixel at the left and top, and enough at the right and
 * bottom for whole tiles. Input channels are a multiple of 4, output channels of 8. All addresses are byte offsets in the memory that the threads share.
 */

/** Side of a tile's output, and of its input. */
const TILE = 6;
const PATCH: usize = 8;
const POINTS: usize = 64;
/** Bytes of a vector of four floats. */
const VECTOR: usize = 16;
/** Bytes of the eight output channels of one product. */
const PANEL_BYTES: usize = 32;
/** Start of a thread's scratch memory: a patch between its two transforms, then one row of results. */
const PATCH_BYTES: usize = POINTS * VECTOR;
const ROW_BYTES: usize = PATCH * VECTOR;

/** One convolution; `network-layout.ts` writes the fields in this order, four bytes each. */
@unmanaged
class Convolution {
  source: usize;
  sourceRow: usize;
  sourcePixel: usize;
  inChannels: usize;
  target: usize;
  targetRow: usize;
  targetPixel: usize;
  outChannels: usize;
  width: i32;
  height: i32;
  /** Tiles per block, a multiple of 6. */
  block: i32;
  /** [inChannels, 3, 3, outChannels]. */
  weights: usize;
  /** [64, outChannels / 8, inChannels, 8]: the weights at the 64 points. */
  panels: usize;
  /** [outChannels] each. Negative values are multiplied by the slope. */
  bias: usize;
  slopes: usize;
  scale: f32;
  /** Images [.., outChannels] that are added, the first one multiplied; 0 for none. */
  firstAdded: usize;
  firstRow: usize;
  firstPixel: usize;
  firstScale: f32;
  secondAdded: usize;
  secondRow: usize;
  secondPixel: usize;
}

/** The weights of one input channel at the 64 points. */
export function transformWeights(layer: Convolution, channel: usize, scratch: usize): void {
  const outBytes = layer.outChannels * 4;
  const pointBytes = layer.inChannels * outBytes;
  const panelBytes = layer.inChannels * PANEL_BYTES;
  const weights = layer.weights + channel * 9 * outBytes;
  const line = scratch + PATCH_BYTES;
  for (let out: usize = 0; out < outBytes; out += VECTOR) {
    const panel = layer.panels + (out / PANEL_BYTES) * panelBytes + channel * PANEL_BYTES + (out % PANEL_BYTES);
    for (let x: usize = 0; x < 3; x++) transformKernel(weights + out + x * outBytes, 3 * outBytes, scratch + x * VECTOR, 3 * VECTOR);
    for (let y: usize = 0; y < PATCH; y++) {
      transformKernel(scratch + y * 3 * VECTOR, VECTOR, line, VECTOR);
      for (let x: usize = 0; x < PATCH; x++) v128.store(panel + (y * PATCH + x) * pointBytes, v128.load(line + x * VECTOR));
    }
  }
}

/** Tiles `first` to `first + block`, counted row by row. */
export function convolve(layer: Convolution, first: i32, scratch: usize): void {
  const columnsOfTiles = (layer.width + TILE - 1) / TILE;
  const rowsOfTiles = (layer.height + TILE - 1) / TILE;
  const tiles = min(layer.block, columnsOfTiles * rowsOfTiles - first);
  const inBytes = layer.inChannels * 4;
  const outBytes = layer.outChannels * 4;
  // the extra vector keeps the points from mapping to the same cache lines
  const inPoint = inBytes * <usize>layer.block + 4 * VECTOR;
  const outPoint = outBytes * <usize>layer.block + 4 * VECTOR;
  const patches = scratch + PATCH_BYTES + ROW_BYTES;
  const products = patches + POINTS * inPoint;
  const panelBytes = layer.inChannels * PANEL_BYTES;

  for (let tile: usize = 0; tile < <usize>tiles; tile++) {
    const at = first + <i32>tile;
    const top = (at / columnsOfTiles) * TILE - 1;
    const left = (at % columnsOfTiles) * TILE - 1;
    const corner = layer.source + <usize>top * layer.sourceRow + <usize>left * layer.sourcePixel;
    for (let channel: usize = 0; channel < inBytes; channel += VECTOR) {
      const from = corner + channel;
      for (let x: usize = 0; x < PATCH; x++) transformPatch(from + x * layer.sourcePixel, layer.sourceRow, scratch + x * VECTOR, ROW_BYTES);
      let to = patches + tile * inBytes + channel;
      for (let y: usize = 0; y < PATCH; y++) {
        transformPatch(scratch + y * ROW_BYTES, VECTOR, to, inPoint);
        to += PATCH * inPoint;
      }
    }
  }

  let panel = layer.panels;
  for (let point: usize = 0; point < POINTS; point++) {
    for (let out: usize = 0; out < outBytes; out += PANEL_BYTES) {
      for (let tile: usize = 0; tile < <usize>tiles; tile += 6) {
        multiply(patches + point * inPoint + tile * inBytes, inBytes, panel, panelBytes, products + point * outPoint + tile * outBytes + out, outBytes);
      }
      panel += panelBytes;
    }
  }

  for (let tile = 0; tile < tiles; tile++) {
    const top = ((first + tile) / columnsOfTiles) * TILE;
    const left = ((first + tile) % columnsOfTiles) * TILE;
    const rows = min(TILE, layer.height - top);
    const columns = min(TILE, layer.width - left);
    for (let out: usize = 0; out < outBytes; out += VECTOR) {
      const from = products + <usize>tile * outBytes + out;
      for (let x: usize = 0; x < PATCH; x++) transformProducts(from + x * outPoint, PATCH * outPoint, scratch + x * VECTOR, ROW_BYTES);
      for (let y = 0; y < rows; y++) {
        transformProducts(scratch + <usize>y * ROW_BYTES, VECTOR, scratch + PATCH_BYTES, VECTOR);
        writeRow(layer, top + y, left, columns, out, scratch + PATCH_BYTES);
      }
    }
  }
}

/** Bias, slope and sums for four channels of `columns` pixels. */
@inline
function writeRow(layer: Convolution, y: i32, left: i32, columns: i32, out: usize, values: usize): void {
  const zero = f32x4.splat(0);
  const bias = v128.load(layer.bias + out);
  const slope = v128.load(layer.slopes + out);
  const scale = f32x4.splat(layer.scale);
  const firstScale = f32x4.splat(layer.firstScale);
  const firstAdded = layer.firstAdded;
  const secondAdded = layer.secondAdded;
  let to = layer.target + <usize>y * layer.targetRow + <usize>left * layer.targetPixel + out;
  let first = firstAdded + <usize>y * layer.firstRow + <usize>left * layer.firstPixel + out;
  let second = secondAdded + <usize>y * layer.secondRow + <usize>left * layer.secondPixel + out;
  for (let x = 0; x < columns; x++) {
    let value = f32x4.add(v128.load(values + <usize>x * VECTOR), bias);
    value = f32x4.relaxed_madd(slope, f32x4.pmin(value, zero), f32x4.pmax(value, zero));
    value = f32x4.mul(value, scale);
    if (firstAdded) value = f32x4.relaxed_madd(firstScale, v128.load(first), value);
    if (secondAdded) value = f32x4.add(value, v128.load(second));
    v128.store(to, value);
    to += layer.targetPixel;
    first += layer.firstPixel;
    second += layer.secondPixel;
  }
}

/** Six rows [depth] at `rows`, `rowBytes` apart, times a panel [depth, 8] -> six rows of eight values, `targetBytes` apart. */
function multiply(rows: usize, rowBytes: usize, panel: usize, panelBytes: usize, target: usize, targetBytes: usize): void {
  let r0 = rows;
  let r1 = r0 + rowBytes;
  let r2 = r1 + rowBytes;
  let r3 = r2 + rowBytes;
  let r4 = r3 + rowBytes;
  let r5 = r4 + rowBytes;
  let s0 = f32x4.splat(0);
  let t0 = s0;
  let s1 = s0;
  let t1 = s0;
  let s2 = s0;
  let t2 = s0;
  let s3 = s0;
  let t3 = s0;
  let s4 = s0;
  let t4 = s0;
  let s5 = s0;
  let t5 = s0;
  // not unrolled: V8 then keeps all twelve sums in registers
  for (const end = panel + panelBytes; panel < end; panel += PANEL_BYTES) {
    const w0 = v128.load(panel);
    const w1 = v128.load(panel, VECTOR);
    let x = v128.load_splat<f32>(r0);
    s0 = f32x4.relaxed_madd(x, w0, s0);
    t0 = f32x4.relaxed_madd(x, w1, t0);
    x = v128.load_splat<f32>(r1);
    s1 = f32x4.relaxed_madd(x, w0, s1);
    t1 = f32x4.relaxed_madd(x, w1, t1);
    x = v128.load_splat<f32>(r2);
    s2 = f32x4.relaxed_madd(x, w0, s2);
    t2 = f32x4.relaxed_madd(x, w1, t2);
    x = v128.load_splat<f32>(r3);
    s3 = f32x4.relaxed_madd(x, w0, s3);
    t3 = f32x4.relaxed_madd(x, w1, t3);
    x = v128.load_splat<f32>(r4);
    s4 = f32x4.relaxed_madd(x, w0, s4);
    t4 = f32x4.relaxed_madd(x, w1, t4);
    x = v128.load_splat<f32>(r5);
    s5 = f32x4.relaxed_madd(x, w0, s5);
    t5 = f32x4.relaxed_madd(x, w1, t5);
    r0 += 4;
    r1 += 4;
    r2 += 4;
    r3 += 4;
    r4 += 4;
    r5 += 4;
  }
  v128.store(target, s0);
  v128.store(target, t0, VECTOR);
  target += targetBytes;
  v128.store(target, s1);
  v128.store(target, t1, VECTOR);
  target += targetBytes;
  v128.store(target, s2);
  v128.store(target, t2, VECTOR);
  target += targetBytes;
  v128.store(target, s3);
  v128.store(target, t3, VECTOR);
  target += targetBytes;
  v128.store(target, s4);
  v128.store(target, t4, VECTOR);
  target += targetBytes;
  v128.store(target, s5);
  v128.store(target, t5, VECTOR);
}

/** Three weights of a line -> eight points. */
@inline
function transformKernel(source: usize, step: usize, target: usize, targetStep: usize): void {
  const g0 = v128.load(source);
  const g1 = v128.load(source + step);
  const g2 = v128.load(source + 2 * step);
  v128.store(target, g0);
  let even = f32x4.mul(f32x4.splat(-2.0 / 9.0), f32x4.add(g0, g2));
  let odd = f32x4.mul(f32x4.splat(-2.0 / 9.0), g1);
  v128.store(target + targetStep, f32x4.add(even, odd));
  v128.store(target + 2 * targetStep, f32x4.sub(even, odd));
  even = f32x4.add(f32x4.mul(f32x4.splat(1.0 / 90.0), g0), f32x4.mul(f32x4.splat(2.0 / 45.0), g2));
  odd = f32x4.mul(f32x4.splat(1.0 / 45.0), g1);
  v128.store(target + 3 * targetStep, f32x4.add(even, odd));
  v128.store(target + 4 * targetStep, f32x4.sub(even, odd));
  even = f32x4.add(f32x4.mul(f32x4.splat(1.0 / 45.0), g0), f32x4.mul(f32x4.splat(1.0 / 180.0), g2));
  odd = f32x4.mul(f32x4.splat(1.0 / 90.0), g1);
  v128.store(target + 5 * targetStep, f32x4.add(even, odd));
  v128.store(target + 6 * targetStep, f32x4.sub(even, odd));
  v128.store(target + 7 * targetStep, g2);
}

/** Eight values of a line -> eight points. */
@inline
function transformPatch(source: usize, step: usize, target: usize, targetStep: usize): void {
  const d0 = v128.load(source);
  const d1 = v128.load(source + step);
  const d2 = v128.load(source + 2 * step);
  const d3 = v128.load(source + 3 * step);
  const d4 = v128.load(source + 4 * step);
  const d5 = v128.load(source + 5 * step);
  const d6 = v128.load(source + 6 * step);
  const d7 = v128.load(source + 7 * step);
  v128.store(target, f32x4.relaxed_madd(f32x4.splat(5.25), f32x4.sub(d4, d2), f32x4.sub(d0, d6)));
  v128.store(target + 7 * targetStep, f32x4.relaxed_madd(f32x4.splat(5.25), f32x4.sub(d3, d5), f32x4.sub(d7, d1)));
  let even = f32x4.relaxed_madd(f32x4.splat(-4.25), d4, f32x4.add(d2, d6));
  let odd = f32x4.relaxed_madd(f32x4.splat(-4.25), d3, f32x4.add(d1, d5));
  v128.store(target + targetStep, f32x4.add(even, odd));
  v128.store(target + 2 * targetStep, f32x4.sub(even, odd));
  even = f32x4.relaxed_madd(f32x4.splat(-1.25), d4, f32x4.relaxed_madd(f32x4.splat(0.25), d2, d6));
  odd = f32x4.relaxed_madd(f32x4.splat(-2.5), d3, f32x4.relaxed_madd(f32x4.splat(0.5), d1, f32x4.mul(f32x4.splat(2), d5)));
  v128.store(target + 3 * targetStep, f32x4.add(even, odd));
  v128.store(target + 4 * targetStep, f32x4.sub(even, odd));
  even = f32x4.relaxed_madd(f32x4.splat(4), f32x4.relaxed_madd(f32x4.splat(-1.25), d4, d2), d6);
  odd = f32x4.relaxed_madd(f32x4.splat(-2.5), d3, f32x4.relaxed_madd(f32x4.splat(2), d1, f32x4.mul(f32x4.splat(0.5), d5)));
  v128.store(target + 5 * targetStep, f32x4.add(even, odd));
  v128.store(target + 6 * targetStep, f32x4.sub(even, odd));
}

/** Products at the eight points of a line -> six values. */
@inline
function transformProducts(source: usize, step: usize, target: usize, targetStep: usize): void {
  const m0 = v128.load(source);
  const m1 = v128.load(source + step);
  const m2 = v128.load(source + 2 * step);
  const m3 = v128.load(source + 3 * step);
  const m4 = v128.load(source + 4 * step);
  const m5 = v128.load(source + 5 * step);
  const m6 = v128.load(source + 6 * step);
  const m7 = v128.load(source + 7 * step);
  const even1 = f32x4.add(m1, m2);
  const odd1 = f32x4.sub(m1, m2);
  const even2 = f32x4.add(m3, m4);
  const odd2 = f32x4.sub(m3, m4);
  const evenHalf = f32x4.add(m5, m6);
  const oddHalf = f32x4.sub(m5, m6);
  v128.store(target, f32x4.add(f32x4.add(m0, even1), f32x4.relaxed_madd(f32x4.splat(32), evenHalf, even2)));
  v128.store(target + targetStep, f32x4.relaxed_madd(f32x4.splat(16), oddHalf, f32x4.relaxed_madd(f32x4.splat(2), odd2, odd1)));
  v128.store(target + 2 * targetStep, f32x4.relaxed_madd(f32x4.splat(8), evenHalf, f32x4.relaxed_madd(f32x4.splat(4), even2, even1)));
  v128.store(target + 3 * targetStep, f32x4.relaxed_madd(f32x4.splat(4), oddHalf, f32x4.relaxed_madd(f32x4.splat(8), odd2, odd1)));
  v128.store(target + 4 * targetStep, f32x4.relaxed_madd(f32x4.splat(2), evenHalf, f32x4.relaxed_madd(f32x4.splat(16), even2, even1)));
  v128.store(target + 5 * targetStep, f32x4.add(f32x4.add(m7, odd1), f32x4.relaxed_madd(f32x4.splat(32), odd2, oddHalf)));
}

/** Writes the zero margin of row `y`, counted with the margins. `corner` is the start of the zero row above the image. */
export function clearMargin(corner: usize, rowBytes: usize, pixelBytes: usize, width: i32, height: i32, y: i32, scratch: usize): void {
  const row = corner + <usize>y * rowBytes;
  if (y == 0 || y > height) {
    memory.fill(row, 0, rowBytes);
    return;
  }
  const used = <usize>(width + 1) * pixelBytes;
  memory.fill(row, 0, pixelBytes);
  memory.fill(row + used, 0, rowBytes - used);
}

/** Row `y` of an image as two rows of one with twice the sides, every pixel as 2 x 2. */
export function enlargeRow(source: usize, sourceRow: usize, target: usize, targetRow: usize, pixel: usize, width: i32, y: usize, scratch: usize): void {
  let from = source + y * sourceRow;
  const top = target + 2 * y * targetRow;
  let to = top;
  for (let x = 0; x < width; x++) {
    memory.copy(to, from, pixel);
    memory.copy(to + pixel, from, pixel);
    from += pixel;
    to += 2 * pixel;
  }
  memory.copy(top + targetRow, top, <usize>width * 2 * pixel);
}

/** Row `y` of three planes [3, height, width], 0 to 1, as pixels [height, width, 3] of bytes. */
export function pixelsRow(planes: usize, pixels: usize, width: i32, height: i32, y: i32, scratch: usize): void {
  const planeBytes = <usize>(width * height) * 4;
  let from = planes + <usize>(y * width) * 4;
  let to = pixels + <usize>(y * width) * 3;
  for (let x = 0; x < width; x++) {
    for (let channel: usize = 0; channel < 3; channel++) {
      // NaN becomes 0
      store<u8>(to + channel, <u32>nearest<f32>(min<f32>(load<f32>(from + channel * planeBytes) * 255, 255)));
    }
    from += 4;
    to += 3;
  }
}

/**
 * Row `y` of an image [height, width, .. 3 * factor * factor ..] as rows of three planes [3, factor * height, factor * width], PyTorch's PixelShuffle, with the
 * pixel of `added` (0 for none) under each of its factor x factor values.
 */
export function planesRow(
  source: usize,
  sourceRow: usize,
  sourcePixel: usize,
  added: usize,
  addedRow: usize,
  addedPixel: usize,
  planes: usize,
  width: i32,
  height: i32,
  factor: i32,
  y: i32,
  scratch: usize,
): void {
  const planeBytes = <usize>(width * height * factor * factor) * 4;
  for (let channel = 0; channel < 3; channel++) {
    for (let dy = 0; dy < factor; dy++) {
      let to = planes + <usize>channel * planeBytes + <usize>((y * factor + dy) * width * factor) * 4;
      for (let x = 0; x < width; x++) {
        const from = source + <usize>y * sourceRow + <usize>x * sourcePixel + <usize>((channel * factor + dy) * factor) * 4;
        const under = added ? load<f32>(added + <usize>y * addedRow + <usize>x * addedPixel + <usize>channel * 4) : 0;
        for (let dx = 0; dx < factor; dx++) {
          store<f32>(to, load<f32>(from + <usize>dx * 4) + under);
          to += 4;
        }
      }
    }
  }
}
