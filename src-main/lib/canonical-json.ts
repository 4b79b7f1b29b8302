/** JSON with sorted keys, without white space and with numbers as ECMAScript writes them. `text` changes each string value before it is written. */
export function canonicalJson(value: unknown, text: (value: string) => string = (value) => value): string {
  if (Array.isArray(value)) return `[${value.map((inner) => canonicalJson(inner, text)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner, text)}`).join(',')}}`;
  }
  return JSON.stringify(typeof value === 'string' ? text(value) : value);
}
