import { z } from 'zod';

export const screenSchema = z.enum(['make', 'gallery', 'settings']);
export type Screen = z.infer<typeof screenSchema>;
