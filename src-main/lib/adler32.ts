const MODULUS = 65_521;
/** So many bytes can be added before a sum leaves 31 bits. */
const LONGEST_RUN = 3_800;

/** The checksum at the end of a zlib stream. Source: https://www.rfc-editor.org/rfc/rfc1950#section-8.2 */
export class Adler32 {
  #bytes = 1;
  #sums = 0;

  add(data: Uint8Array): void {
    let [bytes, sums] = [this.#bytes, this.#sums];
    for (let start = 0; start < data.length; start += LONGEST_RUN) {
      const end = Math.min(data.length, start + LONGEST_RUN);
      for (let i = start; i < end; i++) {
        bytes += data[i] ?? 0;
        sums += bytes;
      }
      bytes %= MODULUS;
      sums %= MODULUS;
    }
    [this.#bytes, this.#sums] = [bytes, sums];
  }

  /** As the stream holds it, four bytes. */
  bytes(): Uint8Array {
    return Uint8Array.of(this.#sums >> 8, this.#sums, this.#bytes >> 8, this.#bytes);
  }
}
