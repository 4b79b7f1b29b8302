/** Bytes of an element, by the format's names. */
const ELEMENT_BYTES: Record<string, number> = { U8: 1, I8: 1, BF16: 2, F16: 2, F32: 4 };

/** The header of a safetensors file with `tensors` one after the other: the header's length in 8 bytes, then JSON, padded to 8. */
export function safetensorsHeader(tensors: readonly { name: string; dtype: string; shape: readonly number[] }[]): Uint8Array {
  const entries: Record<string, object> = { __metadata__: { format: 'pt' } };
  let at = 0;
  for (const { name, dtype, shape } of tensors) {
    const end = at + shape.reduce((a, b) => a * b, 1) * (ELEMENT_BYTES[dtype] ?? Number.NaN);
    entries[name] = { dtype, shape, data_offsets: [at, end] };
    at = end;
  }
  const json = JSON.stringify(entries);
  const text = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text]);
}
