import type { Picture } from '#main/lib/picture.ts';

/**
 * Baseline JPEG as ITU-T T.81 (https://www.w3.org/Graphics/JPEG/itu-t81.pdf) has it, in a JFIF file: YCbCr without subsampling, the tables of its Annex K.
 * Written here because the one native codec that is at hand cannot run inside Electron on Linux; see docs/decisions/own-picture-codecs.md.
 */

/** `ZIGZAG[k]` is the place in a block, row by row, of the k-th coefficient that is written. Figure A.6. */
const ZIGZAG = [
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22,
  15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/** Tables K.1 and K.2: quantization steps at quality 50, row by row. */
const LUMA_STEPS = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103,
  77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMA_STEPS = [
  17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
  99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/** A Huffman table as the file tells it: how many codes there are of 1 to 16 bits, and the symbols in the order of their codes. */
interface HuffmanTable {
  counts: readonly number[];
  symbols: Buffer;
}

/** Tables K.3 to K.6. */
const DC_SYMBOLS = Buffer.from('000102030405060708090a0b', 'hex');
const LUMA_DC: HuffmanTable = { counts: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], symbols: DC_SYMBOLS };
const CHROMA_DC: HuffmanTable = { counts: [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], symbols: DC_SYMBOLS };
const LUMA_AC: HuffmanTable = {
  counts: [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
  symbols: Buffer.from(
    '01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a434445464748494a535455565758595a63646566' +
      '6768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2' +
      'f3f4f5f6f7f8f9fa',
    'hex',
  ),
};
const CHROMA_AC: HuffmanTable = {
  counts: [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
  symbols: Buffer.from(
    '000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738393a434445464748494a535455565758595a636465' +
      '666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2' +
      'f3f4f5f6f7f8f9fa',
    'hex',
  ),
};

/** Sixteen zeros in a row, and nothing but zeros up to the end of the block. */
const ZERO_RUN = 0xf0;
const END_OF_BLOCK = 0x00;

const SIN_PI_8 = Math.sin(Math.PI / 8);
const ROTATION_LOW = Math.cos(Math.PI / 8) - SIN_PI_8;
const ROTATION_HIGH = Math.cos(Math.PI / 8) + SIN_PI_8;
/** By how much `transformEight` makes the k-th coefficient too large. */
const GAINS = Array.from({ length: 8 }, (_, k) => (k === 0 ? 1 : Math.SQRT2 * Math.cos((k * Math.PI) / 16)));

/** How one colour plane is written. */
interface PlaneCoder {
  /** What a transformed sample is multiplied with to be quantized, row by row: the step and the transform's gain undone. */
  factors: Float32Array;
  dc: Codes;
  ac: Codes;
  /** Level of the block before, of which the next one tells the difference. */
  level: number;
}

/** By symbol. */
interface Codes {
  code: Uint16Array;
  bits: Uint8Array;
}

/** The picture as the bytes of a JPEG file. `quality` is 1 to 100 on the scale that libjpeg made common. */
export function encodeJpeg(picture: Picture, quality: number): Buffer {
  const { width, height } = picture;
  const lumaSteps = scaledSteps(LUMA_STEPS, quality);
  const chromaSteps = scaledSteps(CHROMA_STEPS, quality);
  const chroma = () => ({ factors: factorsOf(chromaSteps), dc: codesOf(CHROMA_DC), ac: codesOf(CHROMA_AC), level: 0 });
  const planes: PlaneCoder[] = [{ factors: factorsOf(lumaSteps), dc: codesOf(LUMA_DC), ac: codesOf(LUMA_AC), level: 0 }, chroma(), chroma()];
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    // JFIF 1.1, no unit, square pixels, no thumbnail
    segment(0xe0, [...Buffer.from('JFIF\0'), 1, 1, 0, 0, 1, 0, 1, 0, 0]),
    segment(0xdb, [0, ...ZIGZAG.map((place) => lumaSteps[place] ?? 1), 1, ...ZIGZAG.map((place) => chromaSteps[place] ?? 1)]),
    // 8 bits; three components, each one sample a pixel, with their quantization tables
    segment(0xc0, [8, height >> 8, height & 255, width >> 8, width & 255, 3, 1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1]),
    segment(0xc4, [0x00, ...told(LUMA_DC), 0x10, ...told(LUMA_AC), 0x01, ...told(CHROMA_DC), 0x11, ...told(CHROMA_AC)]),
    // the components with their Huffman tables; all 64 coefficients at once
    segment(0xda, [3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0]),
    scan(picture, planes),
    Buffer.from([0xff, 0xd9]),
  ]);
}

function segment(marker: number, content: readonly number[]): Buffer {
  const length = content.length + 2;
  return Buffer.from([0xff, marker, length >> 8, length & 255, ...content]);
}

function told({ counts, symbols }: HuffmanTable): number[] {
  return [...counts, ...symbols];
}

function scaledSteps(steps: readonly number[], quality: number): Uint8Array {
  const percent = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  return Uint8Array.from(steps, (step) => Math.min(255, Math.max(1, Math.floor((step * percent + 50) / 100))));
}

function factorsOf(steps: Uint8Array): Float32Array {
  return Float32Array.from(steps, (step, place) => 1 / (8 * step * (GAINS[place >> 3] ?? 1) * (GAINS[place & 7] ?? 1)));
}

/** Annex C: codes of one length count up, and the next length goes on behind a zero. */
function codesOf({ counts, symbols }: HuffmanTable): Codes {
  const codes: Codes = { code: new Uint16Array(256), bits: new Uint8Array(256) };
  let code = 0;
  let next = 0;
  counts.forEach((count, index) => {
    for (let i = 0; i < count; i++) {
      const symbol = symbols[next++] ?? 0;
      codes.code[symbol] = code++;
      codes.bits[symbol] = index + 1;
    }
    code <<= 1;
  });
  return codes;
}

function scan(picture: Picture, planes: readonly PlaneCoder[]): Buffer {
  const bits = new BitWriter();
  const samples = [new Float32Array(64), new Float32Array(64), new Float32Array(64)];
  const quantized = new Int16Array(64);
  for (let top = 0; top < picture.height; top += 8) {
    for (let left = 0; left < picture.width; left += 8) {
      takeBlock(picture, left, top, samples);
      planes.forEach((plane, index) => {
        const block = samples[index];
        if (block === undefined) return;
        transform(block);
        for (let k = 0; k < 64; k++) {
          const place = ZIGZAG[k] ?? 0;
          quantized[k] = Math.round((block[place] ?? 0) * (plane.factors[place] ?? 0));
        }
        writeBlock(bits, plane, quantized);
      });
    }
  }
  return bits.end();
}

/** Eight by eight pixels as Y, Cb and Cr around zero; beyond the edge the last row and column go on. Source of the weights: JFIF 1.02, page 3. */
function takeBlock({ width, height, data }: Picture, left: number, top: number, [luma, blue, red]: readonly Float32Array[]): void {
  if (luma === undefined || blue === undefined || red === undefined) return;
  for (let i = 0; i < 64; i++) {
    const x = Math.min(width - 1, left + (i & 7));
    const y = Math.min(height - 1, top + (i >> 3));
    const at = (y * width + x) * 3;
    const r = data[at] ?? 0;
    const g = data[at + 1] ?? 0;
    const b = data[at + 2] ?? 0;
    luma[i] = 0.299 * r + 0.587 * g + 0.114 * b - 128;
    blue[i] = -0.168736 * r - 0.331264 * g + 0.5 * b;
    red[i] = 0.5 * r - 0.418688 * g - 0.081312 * b;
  }
}

/** The discrete cosine transform of a block, in place: first along its rows, then along its columns. */
function transform(block: Float32Array): void {
  for (let row = 0; row < 64; row += 8) transformEight(block, row, 1);
  for (let column = 0; column < 8; column++) transformEight(block, column, 8);
}

/**
 * The transform of eight samples with five multiplications; each result is too large by its gain, which the quantization takes back.
 * Source: Arai, Agui, Nakajima, "A fast DCT-SQ scheme for images", Transactions of the IEICE E 71(11), 1988.
 */
function transformEight(block: Float32Array, from: number, stride: number): void {
  const at = (i: number): number => block[from + i * stride] ?? 0;
  const [sum0, sum1, sum2, sum3] = [at(0) + at(7), at(1) + at(6), at(2) + at(5), at(3) + at(4)];
  const [difference0, difference1, difference2, difference3] = [at(0) - at(7), at(1) - at(6), at(2) - at(5), at(3) - at(4)];

  const outer = sum0 + sum3;
  const inner = sum1 + sum2;
  const slope = sum0 - sum3;
  const turned = (sum1 - sum2 + slope) * Math.SQRT1_2;

  const low = difference3 + difference2;
  const middle = (difference2 + difference1) * Math.SQRT1_2;
  const high = difference1 + difference0;
  const shared = (low - high) * SIN_PI_8;
  const lowTurned = low * ROTATION_LOW + shared;
  const highTurned = high * ROTATION_HIGH + shared;
  const plus = difference0 + middle;
  const minus = difference0 - middle;

  block[from] = outer + inner;
  block[from + stride] = plus + highTurned;
  block[from + 2 * stride] = slope + turned;
  block[from + 3 * stride] = minus - lowTurned;
  block[from + 4 * stride] = outer - inner;
  block[from + 5 * stride] = minus + lowTurned;
  block[from + 6 * stride] = slope - turned;
  block[from + 7 * stride] = plus - highTurned;
}

/** F.1.2: the difference of the mean, then each coefficient with the number of zeros before it. */
function writeBlock(bits: BitWriter, plane: PlaneCoder, quantized: Int16Array): void {
  const level = quantized[0] ?? 0;
  writeValue(bits, plane.dc, 0, level - plane.level);
  plane.level = level;
  let zeros = 0;
  for (let k = 1; k < 64; k++) {
    const value = quantized[k] ?? 0;
    if (value === 0) {
      zeros++;
      continue;
    }
    for (; zeros >= 16; zeros -= 16) bits.write(plane.ac.code[ZERO_RUN] ?? 0, plane.ac.bits[ZERO_RUN] ?? 0);
    writeValue(bits, plane.ac, zeros, value);
    zeros = 0;
  }
  if (zeros > 0) bits.write(plane.ac.code[END_OF_BLOCK] ?? 0, plane.ac.bits[END_OF_BLOCK] ?? 0);
}

/** A value is the code of its length (with the zeros before it) and then its bits; a negative one is written less one, which turns its first bit to 0. */
function writeValue(bits: BitWriter, codes: Codes, zeros: number, value: number): void {
  const length = 32 - Math.clz32(Math.abs(value));
  const symbol = (zeros << 4) | length;
  bits.write(codes.code[symbol] ?? 0, codes.bits[symbol] ?? 0);
  bits.write((value < 0 ? value - 1 : value) & ((1 << length) - 1), length);
}

class BitWriter {
  #bytes = Buffer.alloc(64 * 1024);
  #length = 0;
  #pending = 0;
  #pendingBits = 0;

  /** The lowest `count` bits of `value`, at most 16. */
  write(value: number, count: number): void {
    this.#pending = (this.#pending << count) | value;
    this.#pendingBits += count;
    while (this.#pendingBits >= 8) {
      this.#pendingBits -= 8;
      this.#push((this.#pending >>> this.#pendingBits) & 255);
    }
    this.#pending &= (1 << this.#pendingBits) - 1;
  }

  /** The last byte is filled with ones. */
  end(): Buffer {
    if (this.#pendingBits > 0) this.write(0xff >> this.#pendingBits, 8 - this.#pendingBits);
    return this.#bytes.subarray(0, this.#length);
  }

  #push(byte: number): void {
    if (this.#length + 2 > this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)]);
    this.#bytes[this.#length++] = byte;
    // a decoder would take a lone 255 for a marker
    if (byte === 255) this.#bytes[this.#length++] = 0;
  }
}
