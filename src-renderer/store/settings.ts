import { z } from 'zod';

export const settingsSchema = z.object({
  language: z.enum(['system', 'en', 'zh']),
  theme: z.enum(['system', 'light', 'dark']),
});
export type Settings = z.infer<typeof settingsSchema>;

export const firstSettings: Settings = { language: 'system', theme: 'system' };

/** The language to display. */
export function shownLanguage(setting: Settings['language'], systemLanguages: readonly string[]): 'en' | 'zh' {
  if (setting !== 'system') return setting;
  const known = systemLanguages.find((language) => /^(en|zh)\b/i.test(language));
  return known?.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}
