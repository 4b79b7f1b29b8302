const MODULUS = 65_521;
/** Words of four bytes whose weighted sums fit 16 bits: 255 * 16 * 17 / 2. */
const BLOCK_WORDS = 16;
/** Blocks after which the sums are still within 31 bits. */
const BLOCKS_IN_RUN = 16;
const EVEN_BYTES = 0x00ff00ff;

/** The checksum at the end of a zlib stream. Source: https://www.rfc-editor.org/rfc/rfc1950#section-8.2 */
export class Adler32 {
  #bytes = 1;
  #sums = 0;

  add(data: Uint8Array): void {
    const done = data.byteOffset % 4 === 0 ? this.#addBlocks(data) : 0;
    let [bytes, sums] = [this.#bytes, this.#sums];
    for (let i = done; i < data.length; i++) {
      bytes += data[i] ?? 0;
      sums += bytes;
      // both stay far below 2^53 for any run that ends here
      if (i % 4096 === 0) [bytes, sums] = [bytes % MODULUS, sums % MODULUS];
    }
    [this.#bytes, this.#sums] = [bytes % MODULUS, sums % MODULUS];
  }

  /**
   * As many whole blocks as there are, and how many bytes that were. The first and third byte of a word are added up in the halves of one number, the second
   * and fourth in another's. In a block of n words byte j of word i counts 4 (n - i) - j times.
   */
  #addBlocks(data: Uint8Array): number {
    const blocks = Math.floor(data.length / 4 / BLOCK_WORDS);
    const words = new Uint32Array(data.buffer, data.byteOffset, blocks * BLOCK_WORDS);
    let [bytes, sums] = [this.#bytes, this.#sums];
    for (let block = 0; block < blocks; block++) {
      let [even, odd, evenBefore, oddBefore] = [0, 0, 0, 0];
      const start = block * BLOCK_WORDS;
      for (let i = start; i < start + BLOCK_WORDS; i++) {
        const word = words[i] as number;
        even += word & EVEN_BYTES;
        odd += (word >>> 8) & EVEN_BYTES;
        evenBefore = (evenBefore + even) | 0; // fills all 32 bits
        oddBefore = (oddBefore + odd) | 0;
      }
      const [second, third, fourth] = [odd & 0xffff, even >>> 16, odd >>> 16];
      const weighted = (evenBefore & 0xffff) + (evenBefore >>> 16) + (oddBefore & 0xffff) + (oddBefore >>> 16);
      sums += 4 * (BLOCK_WORDS * bytes + weighted) - second - 2 * third - 3 * fourth;
      bytes += (even & 0xffff) + second + third + fourth;
      if (block % BLOCKS_IN_RUN === 0) [bytes, sums] = [bytes % MODULUS, sums % MODULUS];
    }
    [this.#bytes, this.#sums] = [bytes % MODULUS, sums % MODULUS];
    return blocks * BLOCK_WORDS * 4;
  }

  /** As the stream holds it, four bytes. */
  bytes(): Uint8Array {
    return Uint8Array.of(this.#sums >> 8, this.#sums, this.#bytes >> 8, this.#bytes);
  }
}
