import type { TextToImageParams } from '#shared/domain/job.ts';

/** The text chunks of an image by keyword. */
export type Texts = ReadonlyMap<string, string>;

/** The settings that other programs share with this one. The prompt is never empty. */
export type ImageSettings = Pick<TextToImageParams, 'prompt'> & Partial<Pick<TextToImageParams, 'width' | 'height' | 'steps' | 'seed'>>;

/** Settings from values of any type. Numbers may be text; what is not a whole number from 0 up is left out. Null without a prompt. */
export function imageSettings(found: { [K in keyof ImageSettings]?: unknown }): ImageSettings | null {
  const { prompt } = found;
  if (typeof prompt !== 'string' || prompt.trim() === '') return null;
  const settings: ImageSettings = { prompt: prompt.trim() };
  for (const name of ['width', 'height', 'steps', 'seed'] as const) {
    const number = wholeNumber(found[name]);
    if (number !== null) settings[name] = number;
  }
  return settings;
}

/** Null for anything but a whole number from 0 up that JavaScript can hold exactly. */
export function wholeNumber(value: unknown): number | null {
  const number = typeof value === 'string' && /^\s*\d+(\.0+)?\s*$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null;
}
