const LONGEST = 100;

/** A value out of a foreign file as it may stand in an error sentence: JSON on one line, cut to 100 characters, nested values only named. */
export function quoteValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  // deeply nested values parse but overflow the stack of JSON.stringify, so only flat lists are written out
  if (Array.isArray(value)) {
    if (value.some((item) => typeof item === 'object' && item !== null)) return `a list of ${value.length} that holds lists or objects`;
    return cut(JSON.stringify(value.slice(0, LONGEST)));
  }
  if (typeof value === 'object' && value !== null) return `an object with ${Object.keys(value).length} keys`;
  return cut(JSON.stringify(value) ?? String(value));
}

function cut(text: string): string {
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}…`;
}
