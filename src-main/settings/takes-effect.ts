import type { SettingsAnswer } from '#shared/protocol/settings.ts';

/** From when on a changed setting holds. */
export const takesEffect: SettingsAnswer['takes_effect'] = {
  outputs_folder: 'next_picture',
  disk_limit_gb: 'now',
  empty_bin_after_days: 'now',
  window_jobs_first: 'now',
  unload_model_after_minutes: 'now',
  device: 'next_start',
  mark_images: 'next_picture',
};
