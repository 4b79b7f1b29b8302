const utf8 = new TextEncoder();

/** Writes the Protocol Buffers wire format (https://protobuf.dev/programming-guides/encoding): what ONNX needs of it. */
export class ProtoWriter {
  #bytes = new Uint8Array(64);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** A varint field; `value` is a non-negative safe integer or, in two's complement, a negative one. */
  int(field: number, value: number): void {
    this.#varint(field * 8);
    this.#varint(value);
  }

  float(field: number, value: number): void {
    this.#varint(field * 8 + 5);
    this.#append(new Uint8Array(Float32Array.of(value).buffer));
  }

  string(field: number, value: string): void {
    this.bytes(field, utf8.encode(value));
  }

  bytes(field: number, value: Uint8Array): void {
    this.#varint(field * 8 + 2);
    this.#varint(value.byteLength);
    this.#append(value);
  }

  message(field: number, write: (inner: ProtoWriter) => void): void {
    const inner = new ProtoWriter();
    write(inner);
    this.bytes(field, inner.finish());
  }

  /** All that was written so far; what is written afterwards may change it. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  #varint(value: number): void {
    let rest = value;
    if (rest < 0 || rest >= 2 ** 31) {
      let wide = BigInt.asUintN(64, BigInt(value));
      for (; wide >= 2n ** 31n; wide >>= 7n) this.#byte(Number(wide & 0x7fn) | 0x80);
      rest = Number(wide);
    }
    for (; rest > 0x7f; rest >>>= 7) this.#byte((rest & 0x7f) | 0x80);
    this.#byte(rest);
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#size++] = value;
  }

  #append(bytes: Uint8Array): void {
    this.#reserve(bytes.byteLength);
    this.#bytes.set(bytes, this.#size);
    this.#size += bytes.byteLength;
  }

  #reserve(count: number): void {
    if (this.#size + count <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#size + count, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#size));
    this.#bytes = larger;
  }
}
