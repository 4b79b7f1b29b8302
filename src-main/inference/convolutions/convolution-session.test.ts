import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Convolution, ConvolutionNetwork, StoredFloats } from '#main/lib/compiled.ts';
import { torchRandn } from '../rng.ts';
import { type ConvolutionSession, hasConvolutionKernels, loadConvolutions } from './convolution-session.ts';

/** An image [height, width, channels]. */
interface Image {
  width: number;
  height: number;
  channels: number;
  data: Float64Array;
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'convolutions-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Normally distributed; the generator gives no fewer than sixteen. */
function randomValues(seed: number, count: number): Float32Array {
  return torchRandn(seed, count + 16).subarray(0, count);
}

/** Writes random floats one after the other; gives where they stand. */
class WeightFile {
  readonly path: string;
  readonly values: number[] = [];

  constructor(name: string) {
    this.path = join(folder, name);
  }

  random(count: number, scale: number): StoredFloats {
    const offset = this.values.length * 4;
    this.values.push(...Array.from(randomValues(this.values.length, count), (value) => value * scale));
    return { dtype: 'F32', offset, count };
  }

  floats({ offset, count }: StoredFloats): number[] {
    return [...new Float32Array(this.values).subarray(offset / 4, offset / 4 + count)];
  }

  write(): Promise<void> {
    return writeFile(this.path, new Uint8Array(new Float32Array(this.values).buffer));
  }
}

/** All kinds of layers: odd channel counts, a part of an image as input and as output, sums, memory used again, PixelShuffle. */
async function smallNetwork(name: string): Promise<{ network: ConvolutionNetwork; file: WeightFile }> {
  const file = new WeightFile(name);
  const convolution = (layer: Partial<Convolution> & Pick<Convolution, 'input' | 'inChannels' | 'output' | 'outChannels'>): Convolution => ({
    ...{ kind: 'convolution', outStart: 0, slope: 1, scale: 1, added: [] },
    weight: file.random(layer.outChannels * layer.inChannels * 9, 0.2),
    bias: file.random(layer.outChannels, 0.1),
    ...layer,
  });
  const sum = {
    scale: 0.5,
    added: [
      { image: 1, scale: 0.3 },
      { image: 3, scale: 1 },
    ],
  };
  const layers: ConvolutionNetwork['layers'] = [
    convolution({ input: 0, inChannels: 3, output: 1, outChannels: 8, slope: file.random(8, 1) }),
    convolution({ input: 1, inChannels: 8, output: 1, outStart: 8, outChannels: 24, slope: 0.2 }),
    convolution({ input: 1, inChannels: 32, output: 3, outChannels: 16 }),
    convolution({ input: 1, inChannels: 32, output: 2, outChannels: 16, ...sum }),
    { kind: 'enlarge', input: 2, output: 4 },
    convolution({ input: 4, inChannels: 16, output: 6, outChannels: 16, slope: -0.3 }),
    convolution({ input: 6, inChannels: 16, output: 5, outChannels: 12 }),
  ];
  const images = [4, 32, 16, 16, 16, 16, 16].map((channels, i) => ({ channels, enlargement: i < 4 ? 1 : 2 }));
  const network = { path: file.path, images, layers, result: { image: 5, factor: 2, addsInput: false } };
  await file.write();
  return { network, file };
}

/** The same in float64, value by value. */
function reference({ network, file }: { network: ConvolutionNetwork; file: WeightFile }, image: Image): Float64Array {
  const images = network.images.map(({ channels, enlargement }) => blank(image.width * enlargement, image.height * enlargement, channels));
  images[0] = image;
  for (const layer of network.layers) {
    const [input, output] = [images[layer.input] as Image, images[layer.output] as Image];
    for (let y = 0; y < output.height; y++) {
      for (let x = 0; x < output.width; x++) {
        if (layer.kind === 'convolution') convolveAt(layer, file, images, y, x);
        else for (let channel = 0; channel < output.channels; channel++) set(output, y, x, channel, at(input, y >> 1, x >> 1, channel));
      }
    }
  }
  const source = images[network.result.image] as Image;
  const { factor } = network.result;
  const planes = new Float64Array(3 * source.width * source.height * factor ** 2);
  let i = 0;
  for (let channel = 0; channel < 3; channel++) {
    for (let y = 0; y < source.height * factor; y++) {
      for (let x = 0; x < source.width * factor; x++) {
        const within = (channel * factor + (y % factor)) * factor + (x % factor);
        planes[i++] = at(source, Math.floor(y / factor), Math.floor(x / factor), within);
      }
    }
  }
  return planes;
}

function convolveAt(layer: Convolution, file: WeightFile, images: Image[], y: number, x: number): void {
  const [input, output] = [images[layer.input] as Image, images[layer.output] as Image];
  const [weights, bias] = [file.floats(layer.weight), file.floats(layer.bias)];
  const slopes = typeof layer.slope === 'number' ? null : file.floats(layer.slope);
  const results = bias.map((value, out) => {
    let sum = value;
    for (let k = 0; k < layer.inChannels * 9; k++) {
      sum += (weights[out * layer.inChannels * 9 + k] ?? 0) * at(input, y + Math.floor((k % 9) / 3) - 1, x + (k % 3) - 1, Math.floor(k / 9));
    }
    const slope = slopes === null ? (layer.slope as number) : (slopes[out] ?? 0);
    const added = layer.added.reduce((total, { image, scale }) => total + scale * at(images[image] as Image, y, x, out), 0);
    return (sum < 0 ? sum * slope : sum) * layer.scale + added;
  });
  for (const [out, value] of results.entries()) set(output, y, x, layer.outStart + out, value);
}

function blank(width: number, height: number, channels: number): Image {
  return { width, height, channels, data: new Float64Array(width * height * channels) };
}

function at({ width, height, channels, data }: Image, y: number, x: number, channel: number): number {
  return y < 0 || x < 0 || y >= height || x >= width ? 0 : (data[(y * width + x) * channels + channel] ?? 0);
}

function set(image: Image, y: number, x: number, channel: number, value: number): void {
  image.data[(y * image.width + x) * image.channels + channel] = value;
}

function randomImage(width: number, height: number): Image {
  const image = blank(width, height, 4);
  for (const [i, value] of randomValues(width * height, width * height * 4).entries()) if (i % 4 < 3) image.data[i] = value;
  return image;
}

async function run(session: ConvolutionSession, image: Image, signal = { cancelled: false }): Promise<Float32Array> {
  const fill = (row: Float32Array, y: number): void => row.set(image.data.subarray(y * image.width * 4, (y + 1) * image.width * 4));
  const { planes, pixels } = await session.run(image.width, image.height, fill, signal);
  const plane = planes.length / 3;
  const bytes = Uint8ClampedArray.from(planes, (_, i) => Math.fround((planes[(i % 3) * plane + Math.floor(i / 3)] ?? 0) * 255));
  expect(Buffer.from(bytes.buffer).equals(pixels)).toBe(true);
  return planes;
}

/** By the largest value. */
function largestDifference(planes: Float32Array, expected: Float64Array): number {
  expect(planes).toHaveLength(expected.length);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (planes[i] ?? Number.NaN))), 0) / largest;
}

const here = hasConvolutionKernels();
if (!here) console.log("our own convolutions are skipped: this runtime lacks WebAssembly's relaxed SIMD");

test.skipIf(!here).each([1, 3])('%d threads: images of any size, one after the other, as computed value by value', async (threads) => {
  const small = await smallNetwork(`sizes-${threads}`);
  const session = await loadConvolutions(small.network, threads);
  // growing and shrinking: margins must be zero again each time
  for (const [width, height] of [
    [7, 5],
    [50, 13],
    [1, 1],
    [6, 12],
    [49, 25],
    [7, 5],
  ] as const) {
    const image = randomImage(width, height);
    expect(largestDifference(await run(session, image), reference(small, image))).toBeLessThan(1e-5);
  }
  await session.release();
});

test.skipIf(!here)('half-precision weights are read as what they are', async () => {
  const { network, file } = await smallNetwork('half');
  const words = Uint16Array.from(new Uint32Array(new Float32Array(file.values).buffer), (bits) => bits >>> 16);
  file.values.splice(0, file.values.length, ...new Float32Array(Uint32Array.from(words, (word) => word << 16).buffer));
  const path = join(folder, 'half-words');
  await writeFile(path, new Uint8Array(words.buffer));
  const halved = JSON.parse(JSON.stringify({ ...network, path }), (key, value) => (key === 'offset' ? value / 2 : key === 'dtype' ? 'BF16' : value));
  const session = await loadConvolutions(halved, 2);
  const image = randomImage(9, 9);
  expect(largestDifference(await run(session, image), reference({ network, file }, image))).toBeLessThan(1e-5);
  await session.release();
});

test.skipIf(!here)('a cancelled run gives nothing, and the next one is whole', async () => {
  const small = await smallNetwork('cancel');
  const session = await loadConvolutions(small.network, 2);
  const signal = { cancelled: false };
  const cut = run(session, randomImage(600, 600), signal);
  signal.cancelled = true;
  await expect(cut).rejects.toMatchObject({ code: 'cancelled' });
  const image = randomImage(20, 11);
  expect(largestDifference(await run(session, image), reference(small, image))).toBeLessThan(1e-5);
  await expect(run(session, image, { cancelled: true })).rejects.toMatchObject({ code: 'cancelled' });
  await session.release();
  await expect(run(session, image)).rejects.toMatchObject({ code: 'engine_failed' });
});

test.skipIf(!here)('a missing or truncated file is reported by its name', async () => {
  const { network } = await smallNetwork('cut');
  await truncate(network.path, 100);
  await expect(loadConvolutions(network, 1)).rejects.toMatchObject({ code: 'checkpoint_damaged', message: expect.stringContaining(network.path) });
  await rm(network.path);
  await expect(loadConvolutions(network, 1)).rejects.toMatchObject({ code: 'checkpoint_missing', message: expect.stringContaining(network.path) });
});
