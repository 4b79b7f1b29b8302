import type { Convolution, ConvolutionNetwork, StoredFloats } from '#main/lib/compiled.ts';
import { isFloatType } from '#main/lib/widen-floats.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { requireTensor, type TensorTable } from '../safetensors/open-checkpoint-tensors.ts';
import { RESIDUAL_SCALE, SLOPE, type UpscalerNetwork } from './upscalers.ts';

/** The picture's, a multiple of four. */
const PICTURE_CHANNELS = 4;
/** So many are written at a time. */
const CHANNELS_AT_ONCE = 8;

/**
 * An upscaler, whose graph `buildUpscaler` has built and so checked, as a list of convolutions; null where its channels are not in eights.
 * Throws `checkpoint_unsupported` for weights that are no floats.
 */
export function listConvolutions(table: TensorTable, architecture: UpscalerNetwork['architecture']): ConvolutionNetwork | null {
  const list = new ConvolutionList(table);
  const result = architecture === 'RRDBNet' ? rrdbNet(list) : compactNet(list);
  if (list.images.some(({ channels }, i) => i > 0 && channels % CHANNELS_AT_ONCE !== 0)) return null;
  return { path: list.path, images: list.images, layers: list.layers, result };
}

/** As `compactNet` of `upscalers.ts`: two images take turns. */
function compactNet(list: ConvolutionList): ConvolutionNetwork['result'] {
  const width = list.outChannels('body.0');
  let [from, to] = [list.image(width), list.image(width)];
  let last = 0;
  while (list.has(`body.${last + 2}.weight`)) last += 2;
  for (let i = 0; i < last; i += 2) {
    list.convolve(`body.${i}`, i === 0 ? 0 : from, to, { slope: list.floats(`body.${i + 1}.weight`) });
    [from, to] = [to, from];
  }
  const shuffled = list.image(list.outChannels(`body.${last}`));
  list.convolve(`body.${last}`, from, shuffled);
  return { image: shuffled, factor: 4, addsPicture: true };
}

/** As `rrdbNet` of `upscalers.ts`. An image holds all features of a dense block, so that nothing has to be put side by side. */
function rrdbNet(list: ConvolutionList): ConvolutionNetwork['result'] {
  const width = list.outChannels('conv_first');
  const grow = list.outChannels('body.0.rdb1.conv1');
  const dense = () => list.image(width + 4 * grow);
  const first = list.image(width);
  let [body, second, third] = [dense(), dense(), dense()];
  list.convolve('conv_first', 0, first);
  list.convolve('conv_first', 0, body);

  const denseBlock = (name: string, from: number, to: number, last: Partial<Convolution>): void => {
    for (let i = 1; i <= 4; i++) list.convolve(`${name}.conv${i}`, from, from, { outStart: width + (i - 1) * grow, slope: SLOPE });
    list.convolve(`${name}.conv5`, from, to, last);
  };
  const residual = (image: number): Partial<Convolution> => ({ scale: RESIDUAL_SCALE, added: [{ image, scale: 1 }] });
  for (let i = 0; list.has(`body.${i}.rdb1.conv1.weight`); i++) {
    denseBlock(`body.${i}.rdb1`, body, second, residual(body));
    denseBlock(`body.${i}.rdb2`, second, third, residual(second));
    // (conv5 * s + third) * s + body, into the image that is read no more
    const outer = {
      scale: RESIDUAL_SCALE ** 2,
      added: [
        { image: third, scale: RESIDUAL_SCALE },
        { image: body, scale: 1 },
      ],
    };
    denseBlock(`body.${i}.rdb3`, third, second, outer);
    [body, second] = [second, body];
  }

  const whole = list.image(width);
  list.convolve('conv_body', body, whole, { added: [{ image: first, scale: 1 }] });
  const [doubled, atTwo] = [list.image(width, 2), list.image(width, 2)];
  list.layers.push({ kind: 'enlarge', input: whole, output: doubled });
  list.convolve('conv_up1', doubled, atTwo, { slope: SLOPE });
  const [quadrupled, atFour] = [list.image(width, 4), list.image(width, 4)];
  list.layers.push({ kind: 'enlarge', input: atTwo, output: quadrupled });
  list.convolve('conv_up2', quadrupled, atFour, { slope: SLOPE });
  list.convolve('conv_hr', atFour, quadrupled, { slope: SLOPE });
  const planes = list.image(CHANNELS_AT_ONCE, 4);
  list.convolve('conv_last', quadrupled, planes);
  return { image: planes, factor: 1, addsPicture: false };
}

/** What is collected: images by index, the picture first. */
class ConvolutionList {
  readonly images: ConvolutionNetwork['images'] = [{ channels: PICTURE_CHANNELS, enlargement: 1 }];
  readonly layers: ConvolutionNetwork['layers'] = [];
  readonly #table: TensorTable;

  constructor(table: TensorTable) {
    this.#table = table;
  }

  /** The one file of an upscaler. */
  get path(): string {
    return this.#table.dir;
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
    if (!isFloatType(dtype)) {
      throw new AppError('checkpoint_unsupported', `${this.path}: ${name} has the type ${dtype}; an upscaler has F32, F16 or BF16.`, { path: this.path });
    }
    return { dtype, offset, count: shape.reduce((product, size) => product * size, 1) };
  }

  /** `NAME.weight` and `NAME.bias` over all channels that the weight has; without `options` the bare convolution, written from the first channel on. */
  convolve(name: string, input: number, output: number, options: Partial<Convolution> = {}): void {
    const [outChannels = 0, inChannels = 0] = requireTensor(this.#table, `${name}.weight`).shape;
    const [weight, bias] = [this.floats(`${name}.weight`), this.floats(`${name}.bias`)];
    this.layers.push({
      kind: 'convolution',
      ...{ input, inChannels, output, outStart: 0, outChannels, weight, bias, slope: 1, scale: 1, added: [] },
      ...options,
    });
  }
}
