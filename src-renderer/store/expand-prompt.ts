/** Most images that one click may ask for. */
export const MAX_IMAGES = 100;

interface Modes {
  /** `{red|blue}` stands for each of its words in turn. */
  usesPatterns: boolean;
  /** Each line is a prompt of its own. */
  usesLines: boolean;
}

/** The prompts that `text` stands for, or only their number if there are more than `limit`. */
export type ExpandedPrompt = { prompts: string[]; count: number };

/** A prompt is text, or a list of parts that each stand for several prompts. */
type Part = string | Part[][];

/**
 * Prompts in the order in which they are made; the first pattern changes slowest. Without a mode the text is one prompt, unchanged.
 * `\{`, `\|` and `\}` are plain characters; braces without `|` and braces that do not close are text. More than `limit` prompts are only counted.
 */
export function expandPrompt(text: string, { usesPatterns, usesLines }: Modes, limit: number = MAX_IMAGES): ExpandedPrompt {
  const lines = usesLines ? text.split('\n').filter((line) => line.trim() !== '') : [text];
  if (!usesPatterns) return { prompts: lines.length > limit ? [] : lines, count: lines.length };
  const sequences = lines.map(partsOf);
  const count = sequences.reduce((sum, parts) => sum + countOf(parts), 0);
  return { prompts: count > limit ? [] : sequences.flatMap(promptsOf), count };
}

/** Whether a text would stand for several prompts in either mode, so that the mode is offered. */
export function modesOffered(text: string): Modes {
  return {
    usesPatterns: expandPrompt(text, { usesPatterns: true, usesLines: false }).count > 1,
    usesLines: text.split('\n').filter((line) => line.trim() !== '').length > 1,
  };
}

/** The parts of a text that may contain patterns. */
function partsOf(text: string): Part[] {
  let current: Part[] = [];
  /** Braces that are open: what stands before them, and their choices so far. */
  const open: { before: Part[]; choices: Part[][] }[] = [];
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    const next = text.charAt(at + 1);
    const inner = open.at(-1);
    if (char === '\\' && next !== '' && '{|}'.includes(next)) {
      current.push(next);
      at += 1;
    } else if (char === '{') {
      open.push({ before: current, choices: [] });
      current = [];
    } else if (char === '|' && inner !== undefined) {
      inner.choices.push(current);
      current = [];
    } else if (char === '}' && inner !== undefined) {
      open.pop();
      const choices = [...inner.choices, current];
      current = inner.before.concat(choices.length > 1 ? [choices] : ['{', ...current, '}']);
    } else current.push(char);
  }
  // braces that do not close are text
  for (const { before, choices } of open.reverse()) current = [...before, '{', ...choices.flatMap((choice) => [...choice, '|']), ...current];
  return current;
}

function countOf(parts: readonly Part[]): number {
  return parts.reduce((product, part) => product * (typeof part === 'string' ? 1 : part.reduce((sum, choice) => sum + countOf(choice), 0)), 1);
}

function promptsOf(parts: readonly Part[]): string[] {
  return parts.reduce<string[]>(
    (prompts, part) => {
      const ends = typeof part === 'string' ? [part] : part.flatMap(promptsOf);
      return prompts.flatMap((prompt) => ends.map((end) => prompt + end));
    },
    [''],
  );
}
