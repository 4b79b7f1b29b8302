const MODULUS = 65_521;

/**
 * The Adler-32 of two adjacent pieces, from the sum of each and the length of the second in bytes. The sum of no bytes is 1.
 * Source: https://www.rfc-editor.org/rfc/rfc1950#section-8.2: the low half adds up the bytes, the high half the values of the low half after each byte.
 */
export function joinAdler32(first: number, second: number, secondLength: number): number {
  const [firstLow, secondLow] = [first & 0xffff, second & 0xffff];
  const low = (firstLow + secondLow - 1 + MODULUS) % MODULUS;
  // each byte of the second piece adds the low half of the first to the high half; both pieces start at 1
  const high = ((first >>> 16) + (second >>> 16) + (secondLength % MODULUS) * (firstLow - 1 + MODULUS)) % MODULUS;
  return high * 0x10000 + low;
}
