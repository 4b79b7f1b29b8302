import { z } from 'zod';
import { jobQuerySchema } from '#shared/domain/job-record.ts';
import { datesSchema } from './date-range.ts';

/** What the gallery shows; all conditions must hold. */
export const galleryFilterSchema = jobQuerySchema
  .pick({ query: true, model: true, starred: true, deleted: true, client: true, width: true, height: true })
  .extend({
    /** What was typed into the search field; see `parseSearch`. */
    query: z.string().optional(),
    order: jobQuerySchema.shape.order,
    dates: datesSchema.optional(),
  });
export type GalleryFilter = z.infer<typeof galleryFilterSchema>;

/** Clears every condition except `deleted`, which selects the bin, and the order. */
export const noFilter = {
  query: undefined,
  model: undefined,
  starred: undefined,
  client: undefined,
  dates: undefined,
  width: undefined,
  height: undefined,
} satisfies GalleryFilter;
