/** The comma and the spaces between a prompt and its style, in either script. */
const SEPARATORS = /[\s,，]+$/;

/** The one of `styles` that the prompt ends with, or null. */
export function styleOf(prompt: string, styles: readonly string[]): string | null {
  const text = prompt.replace(SEPARATORS, '').toLowerCase();
  return styles.find((style) => text.endsWith(style.toLowerCase())) ?? null;
}

/** The prompt with `style` at its end instead of another of `styles`; null takes the style away. */
export function withStyle(prompt: string, style: string | null, styles: readonly string[]): string {
  const present = styleOf(prompt, styles);
  const bare = (present === null ? prompt : prompt.replace(SEPARATORS, '').slice(0, -present.length)).replace(SEPARATORS, '');
  if (style === null) return bare;
  if (bare === '') return style;
  return `${bare}${/\p{Script=Han}/u.test(style) ? '，' : ', '}${style}`;
}
