import { z } from 'zod';

export const screenSchema = z.enum(['make', 'gallery', 'models', 'settings']);
export type Screen = z.infer<typeof screenSchema>;

/** The sections of the settings. */
export const settingsPartSchema = z.enum(['appearance', 'storage', 'machine', 'speed', 'network', 'desktop', 'updates', 'log', 'about']);
export type SettingsPart = z.infer<typeof settingsPartSchema>;
