/** Control characters, and the marks that turn the direction of writing, as `\u` escapes: a line stays one line and reads as it is stored. */
export function escapeControls(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
