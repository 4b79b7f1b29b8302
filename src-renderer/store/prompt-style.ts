/** Comma and spaces between a prompt and its style, in Latin and Chinese text. */
const SEPARATORS = /[\s,，]+$/;

/** The style at the end of the prompt, or null. */
export function styleOf(prompt: string, styles: readonly string[]): string | null {
  const text = prompt.replace(SEPARATORS, '').toLowerCase();
  return styles.find((style) => text.endsWith(style.toLowerCase())) ?? null;
}

/** The prompt with `style` at its end, which replaces any other of `styles`; null removes it. */
export function withStyle(prompt: string, style: string | null, styles: readonly string[]): string {
  const present = styleOf(prompt, styles);
  const bare = (present === null ? prompt : prompt.replace(SEPARATORS, '').slice(0, -present.length)).replace(SEPARATORS, '');
  if (style === null) return bare;
  if (bare === '') return style;
  return `${bare}${/\p{Script=Han}/u.test(style) ? '，' : ', '}${style}`;
}

/** The prompt with `word`, which replaces another one of its `group` and stands before a style at the end. A word that is there already is taken out. */
export function withWord(prompt: string, word: string, group: readonly string[], styles: readonly string[]): string {
  if (group === styles) return withStyle(prompt, styleOf(prompt, styles) === word ? null : word, styles);
  const style = styleOf(prompt, styles);
  const bare = withStyle(prompt, null, styles);
  const present = group.find((one) => bare.includes(one));
  const gap = /\p{Script=Han}/u.test(word) ? '，' : ' ';
  const text =
    present === undefined
      ? `${bare}${bare === '' ? '' : gap}${word}`
      : bare
          .replace(present, present === word ? '' : word)
          .replace(/\s{2,}/g, ' ')
          .replace(/，{2,}/g, '，')
          .replace(/^[\s，]+|[\s，]+$/g, '');
  return style === null ? text : withStyle(text, style, styles);
}
