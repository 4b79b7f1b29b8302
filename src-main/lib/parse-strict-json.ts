/**
 * `JSON.parse` that also refuses an object with the same key twice, where `JSON.parse` silently keeps the last.
 * Throws `SyntaxError`.
 */
export function parseStrictJson(json: string): unknown {
  const value: unknown = JSON.parse(json);
  const twice = findDuplicateKey(json);
  if (twice !== null) throw new SyntaxError(`the key ${JSON.stringify(twice)} appears twice in one object`);
  return value;
}

/** `json` must be valid JSON: the scan recognizes keys by their position only. */
function findDuplicateKey(json: string): string | null {
  const scopes: (Set<string> | 'array')[] = [];
  let keyIsNext = false;
  for (let i = 0; i < json.length; i++) {
    const char = json[i];
    if (char === '"') {
      const start = i++;
      while (json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
      const scope = scopes.at(-1);
      if (!keyIsNext || scope === undefined || scope === 'array') continue;
      // escapes: "a" and "\u0061" are the same key
      const key: unknown = JSON.parse(json.slice(start, i + 1));
      if (typeof key !== 'string') continue;
      if (scope.has(key)) return key;
      scope.add(key);
      keyIsNext = false;
    } else if (char === '{') {
      scopes.push(new Set());
      keyIsNext = true;
    } else if (char === '[') {
      scopes.push('array');
      keyIsNext = false;
    } else if (char === '}' || char === ']') {
      scopes.pop();
      keyIsNext = false;
    } else if (char === ',') {
      keyIsNext = scopes.at(-1) !== 'array';
    }
  }
  return null;
}
