import type { Dice } from './dice.ts';

/** JSON as a tree that is changed in place. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const STRINGS = [
  '',
  ' ',
  '\u0000',
  '\ufeff',
  'a',
  '猫',
  '\u202e',
  '💥',
  '\ud800',
  '../../etc/passwd',
  '%00',
  '__proto__',
  'constructor',
  "'; DROP TABLE jobs; --",
] as const;
const NUMBERS = [0, -0, 1, -1, 0.5, 16, 255, 256, 257, 2048, 4097, 1e21, -1e21, 2 ** 31, 2 ** 53 - 1, 2 ** 53, 5e-324, 1.7976931348623157e308] as const;
const KEYS = ['type', 'params', 'prompt', 'job_id', 'request_id', 'seed', '__proto__', 'constructor', 'toString', '', 'x'] as const;
/** Texts that may stand where JSON has a value; not all of them are JSON. */
const TOKENS = [
  '1e400',
  '-1e400',
  'NaN',
  'Infinity',
  '01',
  '1.',
  '.5',
  '+1',
  'undefined',
  "'a'",
  '"\\u0000"',
  '"\\ud800"',
  '"\\x41"',
  '[',
  ']',
  '{',
  '}',
  ',',
  ':',
  'null',
] as const;

/** Any value, at most `depth` levels deep. */
export function anyValue(dice: Dice, depth = 3): Json {
  switch (dice.below(depth > 0 ? 8 : 6)) {
    case 0:
      return null;
    case 1:
      return dice.chance(0.5);
    case 2:
      return dice.pick(NUMBERS);
    case 3:
      return dice.below(10_000);
    case 4:
      return dice.pick(STRINGS);
    case 5:
      return dice.pick(STRINGS).repeat(dice.below(200));
    case 6:
      return Array.from({ length: dice.below(4) }, () => anyValue(dice, depth - 1));
    default:
      return Object.fromEntries(Array.from({ length: dice.below(4) }, () => [dice.pick(KEYS), anyValue(dice, depth - 1)]));
  }
}

/** Changes one place of the tree: another value, a key more, a key less, a key renamed, one more level. */
export function mutateTree(dice: Dice, root: { [key: string]: Json }): void {
  let node = root;
  for (let level = 0; level < 3; level++) {
    const inner = Object.values(node).filter((value) => typeof value === 'object' && value !== null && !Array.isArray(value));
    const [first] = inner;
    if (first === undefined || dice.chance(0.5)) break;
    node = first as { [key: string]: Json };
  }
  const keys = Object.keys(node);
  const key = keys[dice.below(keys.length)] ?? dice.pick(KEYS);
  switch (dice.below(5)) {
    case 0:
      setOwn(node, key, anyValue(dice));
      break;
    case 1:
      setOwn(node, dice.pick(KEYS), anyValue(dice));
      break;
    case 2:
      delete node[key];
      break;
    case 3: {
      const value = ownValue(node, key);
      delete node[key];
      setOwn(node, dice.chance(0.5) ? key.toUpperCase() : dice.pick(KEYS), value);
      break;
    }
    default:
      setOwn(node, key, dice.chance(0.5) ? [ownValue(node, key)] : { inner: ownValue(node, key) });
  }
}

/** Damages the text: a byte changed, a piece cut out, said twice or put in. */
export function mutateText(dice: Dice, text: string): Buffer {
  const bytes = Buffer.from(text);
  const at = dice.below(bytes.length + 1);
  const to = Math.min(bytes.length, at + 1 + dice.below(20));
  switch (dice.below(6)) {
    case 0:
      if (at < bytes.length) bytes[at] = dice.below(256);
      return bytes;
    case 1:
      return bytes.subarray(0, at);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(dice.pick(TOKENS)), bytes.subarray(at)]);
    default:
      return Buffer.concat([bytes.subarray(0, at), dice.bytes(1 + dice.below(8)), bytes.subarray(at)]);
  }
}

/** Excludes the prototype's members: changing them would affect this whole program. */
function ownValue(node: { [key: string]: Json }, key: string): Json {
  return Object.hasOwn(node, key) ? (node[key] ?? null) : null;
}

/** `__proto__` as an own key, as `JSON.parse` creates it. */
function setOwn(node: { [key: string]: Json }, key: string, value: Json): void {
  Object.defineProperty(node, key, { value, writable: true, enumerable: true, configurable: true });
}
