import type { z } from 'zod';
import { jobQuerySchema } from '#shared/domain/job-record.ts';
import { datesSchema } from './date-range.ts';

/** What the gallery shows; all conditions must hold. */
export const galleryFilterSchema = jobQuerySchema
  .pick({ query: true, model: true, starred: true, deleted: true, client: true, width: true, height: true })
  .extend({ dates: datesSchema.optional() });
export type GalleryFilter = z.infer<typeof galleryFilterSchema>;

/** Clears every condition except `deleted`, which selects the bin. */
export const noFilter = {
  query: undefined,
  model: undefined,
  starred: undefined,
  client: undefined,
  dates: undefined,
  width: undefined,
  height: undefined,
} satisfies GalleryFilter;
