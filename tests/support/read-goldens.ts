import { readFile } from 'node:fs/promises';

export interface Goldens {
  metadata: ReadonlyMap<string, string>;
  /** F32 tensors, row-major. */
  floats: ReadonlyMap<string, Float32Array>;
  /** I64 tensors. */
  integers: ReadonlyMap<string, number[]>;
  shapes: ReadonlyMap<string, number[]>;
}

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** Reads a goldens file without the product's code. */
export async function readGoldens(path: string): Promise<Goldens> {
  const bytes = await readFile(path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const { __metadata__: metadata = {}, ...entries }: Record<string, unknown> = JSON.parse(bytes.toString('utf8', 8, start));
  const floats = new Map<string, Float32Array>();
  const integers = new Map<string, number[]>();
  const shapes = new Map<string, number[]>();
  for (const [name, entry] of Object.entries(entries)) {
    const { dtype, shape, data_offsets } = entry as Entry;
    const data = new Uint8Array(bytes.subarray(start + data_offsets[0], start + data_offsets[1])).buffer;
    shapes.set(name, shape);
    if (dtype === 'F32') floats.set(name, new Float32Array(data));
    if (dtype === 'I64') integers.set(name, Array.from(new BigInt64Array(data), Number));
  }
  return { metadata: new Map(Object.entries(metadata as Record<string, string>)), floats, integers, shapes };
}
