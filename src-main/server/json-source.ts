/** The text that values were parsed from. `JSON.parse` rounds numbers; what is quoted or given back needs the digits that were sent. */

const sources = new WeakMap<object, string>();

/** Remembers the text of a parsed value for `sourceOf`, for as long as the value lives. */
export function rememberSource(value: unknown, text: string): void {
  if (typeof value === 'object' && value !== null) sources.set(value, text);
}

/** A function that finds the text of the values inside `value`; without a remembered text it finds nothing. */
export function sourceOf(value: unknown): (path: readonly PropertyKey[]) => string | undefined {
  const text = typeof value === 'object' && value !== null ? sources.get(value) : undefined;
  return (path) => (text === undefined ? undefined : textAt(text, path));
}

/** The text of the value at `path` of the valid JSON `text`; of a repeated key the last one counts, as for `JSON.parse`. */
export function textAt(text: string, path: readonly PropertyKey[]): string | undefined {
  let start: number | undefined = 0;
  for (const key of path) {
    start = childAt(text, start, key);
    if (start === undefined) return undefined;
  }
  return text.slice(start, endOf(text, start)).trim();
}

const token = /\s*("[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+)/y;

function tokenAt(text: string, start: number): { token: string; end: number } {
  token.lastIndex = start;
  return { token: token.exec(text)?.[1] ?? '', end: token.lastIndex };
}

/** Iterative, since 100,000 nested lists parse but would overflow the stack. */
function endOf(text: string, start: number): number {
  let depth = 0;
  let at = start;
  do {
    const next = tokenAt(text, at);
    if (next.token === '') return text.length;
    if (next.token === '{' || next.token === '[') depth++;
    if (next.token === '}' || next.token === ']') depth--;
    at = next.end;
  } while (depth > 0);
  return at;
}

function childAt(text: string, start: number, key: PropertyKey): number | undefined {
  const open = tokenAt(text, start);
  if (open.token !== '{' && open.token !== '[') return undefined;
  let found: number | undefined;
  for (let at = open.end, index = 0; ; index++) {
    const first = tokenAt(text, at);
    if (first.token === '}' || first.token === ']' || first.token === '') return found;
    const isMember = open.token === '{';
    const valueStart = isMember ? tokenAt(text, first.end).end : at;
    const name: unknown = isMember ? JSON.parse(first.token) : index;
    if (name === key) found = valueStart;
    const after = tokenAt(text, endOf(text, valueStart));
    if (after.token !== ',') return found;
    at = after.end;
  }
}
