import type { Convolution, ConvolutionNetwork } from '#main/lib/compiled.ts';
import type { TensorTable } from '../safetensors/open-checkpoint-tensors.ts';
import { ConvolutionList } from './convolution-list.ts';
import { RESIDUAL_SCALE, SLOPE, type UpscalerNetwork } from './upscalers.ts';

/** The image's, a multiple of four. */
const PICTURE_CHANNELS = 4;
/** Channels that are written at a time. */
const CHANNELS_AT_ONCE = 8;

/**
 * An upscaler, whose graph `buildUpscaler` has built and so checked, as a list of convolutions; null where its channels are not in eights.
 * Throws `checkpoint_unsupported` for weights that are no floats.
 */
export function listUpscalerConvolutions(table: TensorTable, architecture: UpscalerNetwork['architecture']): ConvolutionNetwork | null {
  const list = new ConvolutionList(table, PICTURE_CHANNELS);
  const result = architecture === 'RRDBNet' ? rrdbNet(list) : compactNet(list);
  if (list.images.some(({ channels }, i) => i > 0 && channels % CHANNELS_AT_ONCE !== 0)) return null;
  return list.network(result);
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
  return { image: shuffled, factor: 4, addsInput: true };
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
  list.enlarge(whole, doubled);
  list.convolve('conv_up1', doubled, atTwo, { slope: SLOPE });
  const [quadrupled, atFour] = [list.image(width, 4), list.image(width, 4)];
  list.enlarge(atTwo, quadrupled);
  list.convolve('conv_up2', quadrupled, atFour, { slope: SLOPE });
  list.convolve('conv_hr', atFour, quadrupled, { slope: SLOPE });
  const planes = list.image(CHANNELS_AT_ONCE, 4);
  list.convolve('conv_last', quadrupled, planes);
  return { image: planes, factor: 1, addsInput: false };
}
