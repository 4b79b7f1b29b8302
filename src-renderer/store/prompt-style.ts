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
