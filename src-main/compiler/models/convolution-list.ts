import type { Convolution, ConvolutionNetwork, StoredFloats } from '#main/lib/compiled.ts';
import { floatTypes, isFloatType } from '#main/lib/widen-floats.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { elementCount } from '../graph/ir.ts';
import { requireTensor, type TensorTable } from '../safetensors/open-checkpoint-tensors.ts';

/** Collects the layers of a `ConvolutionNetwork` over the tensors of one file, which the table is named after. Images have an index; image 0 is the input. */
export class ConvolutionList {
  readonly images: ConvolutionNetwork['images'];
  readonly #layers: ConvolutionNetwork['layers'] = [];
  readonly #table: TensorTable;

  constructor(table: TensorTable, inputChannels: number) {
    this.#table = table;
    this.images = [{ channels: inputChannels, enlargement: 1 }];
  }

  network(result: ConvolutionNetwork['result']): ConvolutionNetwork {
    return { path: this.#table.dir, images: this.images, layers: this.#layers, result };
  }

  has(name: string): boolean {
    return this.#table.tensors.has(name);
  }

  outChannels(name: string): number {
    return requireTensor(this.#table, `${name}.weight`).shape[0] ?? 0;
  }

  /** Adds an image and gives its index. */
  image(channels: number, enlargement = 1): number {
    return this.images.push({ channels, enlargement }) - 1;
  }

  floats(name: string): StoredFloats {
    const { dtype, offset, shape } = requireTensor(this.#table, name);
    if (isFloatType(dtype)) return { dtype, offset, count: elementCount(shape) ?? 0 };
    const path = this.#table.dir;
    throw new AppError('checkpoint_unsupported', `${path}: ${name} has the type ${dtype}; ${floatTypes.join(', ')} can be read.`, { path });
  }

  /** `NAME.weight` [outChannels, inChannels, 3, 3] and `NAME.bias`; without `options` the bare convolution, written from the first channel on. */
  convolve(name: string, input: number, output: number, options: Partial<Convolution> = {}): void {
    const [outChannels = 0, inChannels = 0] = requireTensor(this.#table, `${name}.weight`).shape;
    const [weight, bias] = [this.floats(`${name}.weight`), this.floats(`${name}.bias`)];
    this.#layers.push({
      kind: 'convolution',
      ...{ input, inChannels, output, outStart: 0, outChannels, weight, bias, slope: 1, scale: 1, added: [] },
      ...options,
    });
  }

  enlarge(input: number, output: number): void {
    this.#layers.push({ kind: 'enlarge', input, output });
  }
}
