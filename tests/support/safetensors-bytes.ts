/** A safetensors file in memory: the header's length, `header` (text unchanged, else as JSON), `data`. Tests also use it for invalid files. */
export function safetensorsBytes(header: unknown, data: Uint8Array | number = 0): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const body = typeof data === 'number' ? new Uint8Array(data) : data;
  const bytes = new Uint8Array(8 + json.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(body, 8 + json.length);
  return bytes;
}

/** The same from tensors, one after the other. */
export function safetensorsOf(tensors: Record<string, { dtype: string; shape: number[]; data: Uint8Array }>): Uint8Array {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [end, end + data.length] };
    end += data.length;
  }
  const body = new Uint8Array(end);
  let at = 0;
  for (const { data } of Object.values(tensors)) {
    body.set(data, at);
    at += data.length;
  }
  return safetensorsBytes(header, body);
}
