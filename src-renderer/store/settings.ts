import { z } from 'zod';

export const settingsSchema = z.object({
  language: z.enum(['system', 'en', 'zh']),
  theme: z.enum(['system', 'light', 'dark']),
  /** Smallest width of a tile in the gallery. */
  tilePx: z.number().min(112).max(400).default(168),
  /** Whether the browser notifies when images are finished in a hidden tab. */
  notifiesWhenDone: z.boolean().default(false),
  /** Whether single letters are shortcuts. */
  hasLetterKeys: z.boolean().default(true),
});
export type Settings = z.infer<typeof settingsSchema>;

export const firstSettings: Settings = { language: 'system', theme: 'system', tilePx: 168, notifiesWhenDone: false, hasLetterKeys: true };

/** The language to display. */
export function shownLanguage(setting: Settings['language'], systemLanguages: readonly string[]): 'en' | 'zh' {
  if (setting !== 'system') return setting;
  const known = systemLanguages.find((language) => /^(en|zh)\b/i.test(language));
  return known?.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}
