import { z } from 'zod';
import { deviceNameSchema } from '../domain/device.ts';

/** What can be changed while the server runs, by `PUT /api/settings`. Kept in `settings.json` of the data folder. */
export const settingsSchema = z.strictObject({
  /** Absolute path of the folder for new images. Earlier images stay where they are and are found there. */
  outputs_folder: z.string().min(1).max(4096),
  /**
   * Disk space for the images, in units of 10^9 bytes; null for no limit. From nine tenths of it on the oldest images that are
   * not starred go to the bin, and beyond it what has been in the bin for longest is deleted.
   */
  disk_limit_gb: z.number().min(0.01).max(1_000_000).nullable(),
  /** Images in the bin are permanently deleted after this many days; null for never. */
  empty_bin_after_days: z.number().int().min(1).max(3650).nullable(),
  /** Jobs of the program's own window start before jobs of other clients. */
  window_jobs_first: z.boolean(),
  /** The engine frees its memory this many minutes after its last image; the next image loads the model again. Null keeps it loaded. */
  unload_model_after_minutes: z.number().int().min(1).max(10_080).nullable(),
  /** The device that runs models from the next start on, or `auto`. A device that cannot be used then counts as `auto`, and the log says why. */
  device: z.union([z.literal('auto'), deviceNameSchema]),
  /**
   * New images, exports and larger thumbnails say in a machine-readable way that AI made them: an XMP packet with IPTC's digital source type and the `AIGC`
   * label of GB 45438. The EU (AI Act, Article 50) and China ask providers for such marks.
   */
  mark_images: z.boolean(),
});
export type Settings = z.infer<typeof settingsSchema>;
export const settingNameSchema = settingsSchema.keyof();
export type SettingName = z.infer<typeof settingNameSchema>;

/** Body of `PUT /api/settings`: the settings to change; the others stay. */
export const settingsChangeSchema = settingsSchema.partial();
export type SettingsChange = z.infer<typeof settingsChangeSchema>;

const momentSchema = z.enum(['now', 'next_picture', 'next_start']);

export const settingsAnswerSchema = z.object({
  ...settingsSchema.shape,
  /** Settings that the command line decides; changing one of them is refused. */
  fixed: z.array(settingNameSchema),
  /** From when on a change of each holds. */
  takes_effect: z.object({
    outputs_folder: momentSchema,
    disk_limit_gb: momentSchema,
    empty_bin_after_days: momentSchema,
    window_jobs_first: momentSchema,
    unload_model_after_minutes: momentSchema,
    device: momentSchema,
    mark_images: momentSchema,
  } satisfies Record<SettingName, typeof momentSchema>),
});
export type SettingsAnswer = z.infer<typeof settingsAnswerSchema>;
