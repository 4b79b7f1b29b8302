/** First digit of each decimal digit block that number fields accept besides ASCII; NFKC covers the full-width ones. */
const ZEROS = [0x660, 0x6f0, 0x966];

/**
 * A number as people type it, in the form that `Number` reads: full-width and Arabic or Devanagari digits become ASCII, a decimal comma becomes a point.
 * `1,500` stays as it is, because its comma may separate thousands.
 */
export function plainNumber(text: string): string {
  const ascii = text
    .normalize('NFKC')
    .trim()
    .replaceAll(/\p{Nd}/gu, asciiDigit)
    .replace(/[٫。]/, '.')
    .replace(/[、]/, ',');
  return /^\d+,\d+$/.test(ascii) && !/^[1-9]\d{0,2},\d{3}$/.test(ascii) ? ascii.replace(',', '.') : ascii;
}

function asciiDigit(digit: string): string {
  const code = digit.codePointAt(0) ?? 0;
  const zero = ZEROS.find((first) => code >= first && code < first + 10);
  return zero === undefined ? digit : String(code - zero);
}
