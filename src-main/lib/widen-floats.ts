/** Float32 values of bfloat16 words: a bfloat16 is the upper half of a float32. */
export function float32FromBfloat16(words: Uint16Array): Float32Array {
  const bits = new Uint32Array(words.length);
  for (let i = 0; i < words.length; i++) bits[i] = (words[i] as number) << 16;
  return new Float32Array(bits.buffer);
}

/** Float32 values of IEEE 754 binary16 words, subnormals, infinities and NaN included. Every binary16 is exact in float32. */
export function float32FromFloat16(words: Uint16Array): Float32Array {
  const bits = new Uint32Array(words.length);
  const floats = new Float32Array(bits.buffer);
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as number;
    const sign = (word & 0x8000) << 16;
    const magnitude = word & 0x7fff;
    if (magnitude >= 0x7c00) bits[i] = sign | 0x7f800000 | ((magnitude & 0x3ff) << 13);
    // moves the exponent's bias from 15 to 127
    else if (magnitude >= 0x0400) bits[i] = sign | ((magnitude << 13) + 0x38000000);
    else floats[i] = (sign === 0 ? magnitude : -magnitude) * 2 ** -24;
  }
  return floats;
}

/** The types of floats that safetensors files have and that float32 holds exactly. */
export const floatTypes = ['F32', 'F16', 'BF16'] as const;
export type FloatType = (typeof floatTypes)[number];

/** Stored floats as float32; `bytes` lie at the start of their buffer. */
export function float32From(dtype: FloatType, bytes: Uint8Array<ArrayBuffer>): Float32Array {
  if (dtype === 'F32') return new Float32Array(bytes.buffer);
  const words = new Uint16Array(bytes.buffer);
  return dtype === 'F16' ? float32FromFloat16(words) : float32FromBfloat16(words);
}

export function isFloatType(dtype: string): dtype is FloatType {
  return floatTypes.some((type) => type === dtype);
}
