/**
 * Integers of 4 to 7 bits as sdnq packs them: each byte of a pack has one value in its low bits, and the high bits of the bytes make up the other values.
 * Source: https://github.com/Disty0/sdnq, `src/sdnq/packed_int/`.
 */
type PackedBits = 4 | 5 | 6 | 7;

/** Values and bytes of one pack. */
export function packOf(bits: number): { values: number; bytes: number } {
  if (bits === 4) return { values: 2, bytes: 1 };
  return bits === 6 ? { values: 4, bytes: 3 } : { values: 8, bytes: bits };
}

/** The stored values, 0 to 2^bits - 1, one an element. */
export function unpackBits(packed: Uint8Array, bits: PackedBits): Uint8Array<ArrayBuffer> {
  const { values, bytes } = packOf(bits);
  const packs = packed.length / bytes;
  const out = new Uint8Array(packs * values);
  const mask = 2 ** bits - 1;
  for (let pack = 0; pack < packs; pack++) {
    const [from, to] = [pack * bytes, pack * values];
    const b = (at: number): number => packed[from + at] as number;
    for (let i = 0; i < bytes; i++) out[to + i] = b(i) & mask;
    if (bits === 4) out[to + 1] = b(0) >> 4;
    else if (bits === 5) {
      out[to + 5] = (b(0) >> 5) | ((b(3) >> 2) & 24);
      out[to + 6] = (b(1) >> 5) | ((b(4) >> 2) & 24);
      out[to + 7] = (b(2) >> 5) | ((b(3) >> 3) & 16) | ((b(4) >> 4) & 8);
    } else if (bits === 6) {
      out[to + 3] = ((b(0) >> 2) & 48) | ((b(1) >> 4) & 12) | (b(2) >> 6);
    } else {
      let last = 0;
      for (let i = 0; i < bytes; i++) last |= (b(i) >> 7) << (6 - i);
      out[to + 7] = last;
    }
  }
  return out;
}
