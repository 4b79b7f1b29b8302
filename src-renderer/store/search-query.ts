import { modelTypeSchema } from '#shared/domain/job.ts';
import { type JobQuery, type Label, labelSchema } from '#shared/domain/job-record.ts';

type Searched = Partial<
  Pick<JobQuery, 'album' | 'tag' | 'query' | 'phrases' | 'without' | 'seed' | 'model' | 'width' | 'height' | 'min_pixels' | 'max_pixels' | 'starred'>
>;

/**
 * Reads a search such as `seed:42 model:int8 size:>1024 "red fox" -car` into the parameters of the job list. Sizes are `768x512`, or the side of a square with
 * as many pixels: `1024`, `>1024`, `<=512`. Albums and tags with spaces are quoted: `album:"Red foxes"`. A word that is no valid condition is searched for in the prompts, so nothing typed is ignored.
 */
export function parseSearch(text: string): Searched {
  const found: Searched = {};
  const words: string[] = [];
  const phrases: string[] = [];
  const without: string[] = [];
  for (const [, minus = '', quoted, word = ''] of text.matchAll(/(-?)"([^"]*)"|((?:album|tag):"[^"]+"|\S+)/gi)) {
    if (quoted !== undefined) (minus === '-' ? without : phrases).push(quoted);
    else if (/^-./.test(word)) without.push(word.slice(1));
    else if (!readCondition(word, found)) words.push(word);
  }
  const lines = (texts: string[]) => texts.filter((one) => one.trim() !== '').join('\n');
  if (words.length > 0) found.query = words.join(' ');
  if (lines(phrases) !== '') found.phrases = lines(phrases);
  if (lines(without) !== '') found.without = lines(without);
  return found;
}

/** The search for an album or a tag; `parseSearch` reads it back. */
export function searchOf({ kind, name }: Label): string {
  return `${kind}:${/\s/.test(name) ? `"${name}"` : name}`;
}

/** Adds the condition that a word such as `seed:42` stands for; false for any other word. */
function readCondition(word: string, found: Searched): boolean {
  const [, name = '', value = ''] = /^([a-z]+):(.+)$/i.exec(word) ?? [];
  switch (name.toLowerCase()) {
    case 'seed': {
      const seed = Number(value);
      if (!/^\d+$/.test(value) || !Number.isSafeInteger(seed)) return false;
      found.seed = seed;
      return true;
    }
    case 'model': {
      const model = modelTypeSchema.safeParse(value.toLowerCase()).data;
      if (model === undefined) return false;
      found.model = model;
      return true;
    }
    case 'album':
    case 'tag': {
      const label = labelSchema.safeParse({ kind: name.toLowerCase(), name: value.replaceAll('"', '') }).data;
      if (label === undefined) return false;
      found[label.kind] = label.name;
      return true;
    }
    case 'is':
      if (value.toLowerCase() !== 'starred') return false;
      found.starred = true;
      return true;
    case 'size':
      return readSize(value, found);
    default:
      return false;
  }
}

function readSize(value: string, found: Searched): boolean {
  const [, width, height] = /^(\d+)[x×](\d+)$/i.exec(value) ?? [];
  if (width !== undefined && height !== undefined) {
    if (Number(width) === 0 || Number(height) === 0) return false;
    found.width = Number(width);
    found.height = Number(height);
    return true;
  }
  const [, sign, side = ''] = /^([<>]?=?)(\d{1,6})$/.exec(value) ?? [];
  const pixels = Number(side) ** 2;
  if (sign === undefined || pixels === 0) return false;
  if (sign.startsWith('>') || !sign.startsWith('<')) found.min_pixels = pixels + (sign === '>' ? 1 : 0);
  if (sign.startsWith('<') || !sign.startsWith('>')) found.max_pixels = Math.max(1, pixels - (sign === '<' ? 1 : 0));
  return true;
}
