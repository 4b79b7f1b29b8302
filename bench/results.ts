import { z } from 'zod';
import { comparisonResultsSchema } from './comparison.ts';

/** What `npm run bench -- picture` writes. */
export const pictureResultsSchema = z.object({
  date: z.string(),
  machine: z.string(),
  version: z.string(),
  node: z.string(),
  steps: z.number(),
  /** Milliseconds by round; the peak is of the engine's process up to the end of the last round of this size. */
  sizes: z.array(z.object({ sidePx: z.number(), originalMs: z.array(z.number()), upscaleMs: z.array(z.number()), peakBytes: z.number() })),
  /** Beside diffusers with sdnq; older results have none. */
  comparison: comparisonResultsSchema.optional(),
});
export type PictureResults = z.infer<typeof pictureResultsSchema>;

const rounds = z.array(z.number());

/** What `npm run bench -- window` writes: milliseconds by round. */
export const windowResultsSchema = z.object({
  date: z.string(),
  machine: z.string(),
  version: z.string(),
  browser: z.string(),
  pictures: z.number(),
  firstPaintMs: rounds,
  interactiveMs: rounds,
  inputToPaintP95Ms: rounds,
  longestProgressTaskMs: rounds,
  longestBlankRowMs: rounds,
  longestGalleryTaskMs: rounds,
  /** From a jump to a place never seen until every tile in view shows its picture: thumbnails made for the first time. */
  picturesAfterJumpMs: rounds,
  bundleGzipBytes: z.number(),
  /** The header Content-Security-Policy of `GET /`. */
  policy: z.string(),
  /** Console errors and warnings, reports of the policy, requests to another host. */
  faults: z.array(z.string()),
});
export type WindowResults = z.infer<typeof windowResultsSchema>;

/** What `npm run bench -- downloads` writes. */
export const downloadResultsSchema = z.object({
  date: z.string(),
  machine: z.string(),
  version: z.string(),
  node: z.string(),
  kills: z.object({
    kills: z.number(),
    sizeBytes: z.number(),
    sentBytes: z.number(),
    mostLostBytes: z.number(),
    resumed: z.number(),
    isRight: z.boolean(),
  }),
  /** One download for each way in which a server can misbehave. */
  faults: z.array(
    z.object({
      fault: z.string(),
      /** How often it happened. */
      times: z.number(),
      sizeBytes: z.number(),
      fetchedBytes: z.number(),
      state: z.string(),
      error: z.string().nullable(),
      isRight: z.boolean(),
    }),
  ),
});
export type DownloadResults = z.infer<typeof downloadResultsSchema>;
