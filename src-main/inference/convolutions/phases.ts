import type { Convolution, ConvolutionNetwork } from '#main/lib/compiled.ts';
import { BLOCK, blocksOf, FLOAT, imageAt, type NetworkLayout, type PlacedImage, type PlacedWeights, type SizedLayout } from './layout.ts';

/** The exports of `kernels/convolution.ts`. */
type Kernel = 'transformWeights' | 'convolve' | 'clearMargin' | 'enlargeRow' | 'planesRow' | 'pixelsRow';
export type Kernels = Readonly<Record<Kernel, (...args: number[]) => void>>;

/** Work for all threads: the kernel is called with `args`, then 0, `step`, 2 * `step`, ... for each of its units, then a thread's scratch. */
export interface Phase {
  kernel: Kernel;
  units: number;
  step: number;
  args: number[];
}

/** What brings the weights of all convolutions to the points, where each keeps its own. */
export function planPanels(network: ConvolutionNetwork, layout: NetworkLayout): Phase[] {
  return network.layers.flatMap((layer) => (layer.kind === 'convolution' ? [panelsOf(layout, layer)] : []));
}

function panelsOf(layout: NetworkLayout, layer: Convolution): Phase {
  const { inChannels, record } = placedOf(layout, layer);
  return { kernel: 'transformWeights', units: inChannels, step: 1, args: [record] };
}

/** The layers in turn; where convolutions share the room for their panels, these are made just before each. */
export function planPhases(network: ConvolutionNetwork, layout: NetworkLayout, sized: SizedLayout): Phase[] {
  const phases: Phase[] = [];
  const add = (kernel: Kernel, units: number, args: number[], step = 1): void => {
    phases.push({ kernel, units, step, args });
  };
  const clear = (layer: number): void => {
    for (const index of sized.born.get(layer) ?? []) {
      const { base, row, pixel, width, height, rows } = imageAt(sized, index);
      add('clearMargin', rows, [base - row - pixel, row, pixel, width, height]);
    }
  };
  clear(-1);
  for (const [i, layer] of network.layers.entries()) {
    clear(i);
    const [input, output] = [imageAt(sized, layer.input), imageAt(sized, layer.output)];
    if (layer.kind === 'enlarge') {
      add('enlargeRow', input.height, [input.base, input.row, output.base, output.row, input.pixel, input.width]);
      continue;
    }
    if (!layout.keepsPanels) phases.push(panelsOf(layout, layer));
    add('convolve', blocksOf(output), [placedOf(layout, layer).record], BLOCK);
  }
  const { factor, image, addsInput } = network.result;
  const { base, row, pixel, width, height } = imageAt(sized, image);
  const under: Pick<PlacedImage, 'base' | 'row' | 'pixel'> = addsInput ? imageAt(sized, 0) : { base: 0, row: 0, pixel: 0 };
  add('planesRow', height, [base, row, pixel, under.base, under.row, under.pixel, sized.planes, width, height, factor]);
  add('pixelsRow', height * factor, [sized.planes, sized.pixels, width * factor, height * factor]);
  return phases;
}

/** Writes what the kernels read of each convolution, in the order of the fields of `Convolution` in `kernels/convolution.ts`. */
export function writeRecords(memory: ArrayBufferLike, network: ConvolutionNetwork, layout: NetworkLayout, sized: SizedLayout): void {
  const [integers, floats] = [new Uint32Array(memory), new Float32Array(memory)];
  for (const layer of network.layers) {
    if (layer.kind !== 'convolution') continue;
    const placed = placedOf(layout, layer);
    let field = placed.record / FLOAT;
    const write = (...values: number[]): void => {
      for (const value of values) integers[field++] = value;
    };
    const image = (index: number, channel = 0): void => {
      const { base, row, pixel } = imageAt(sized, index);
      write(base + channel * FLOAT, row, pixel);
    };
    const added = (one: { image: number } | undefined): void => (one === undefined ? write(0, 0, 0) : image(one.image));
    const { width, height } = imageAt(sized, layer.output);
    const [first, second] = layer.added;
    image(layer.input);
    write(placed.inChannels);
    image(layer.output, layer.outStart);
    write(placed.outChannels, width, height, BLOCK, placed.weights, placed.panels, placed.bias, placed.slopes);
    floats[field++] = layer.scale;
    added(first);
    floats[field++] = first?.scale ?? 0;
    added(second);
  }
}

export function placedOf(layout: NetworkLayout, layer: Convolution): PlacedWeights {
  const placed = layout.weights.get(layer);
  if (placed === undefined) throw new RangeError('a convolution of another network');
  return placed;
}
