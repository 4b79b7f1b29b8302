import { join } from 'node:path';
import { z } from 'zod';
import { type JsonFile, type JsonFileLog, openJsonFile } from '#main/lib/json-file.ts';
import { type Settings, type SettingsChange, settingsSchema } from '#shared/protocol/settings.ts';

/** The settings, and every earlier folder of images. */
const fields = { ...settingsSchema.shape, earlier_outputs_folders: z.array(z.string()) };

const defaults: Omit<Settings, 'outputs_folder'> = {
  disk_limit_gb: null,
  empty_bin_after_days: null,
  window_jobs_first: true,
  unload_model_after_minutes: 30,
  device: 'auto',
  mark_images: true,
};

/** `settings.json` in the data folder. It holds the settings that were ever changed; the others have their defaults. */
export class SettingsFile {
  readonly #file: JsonFile<z.output<z.ZodObject<typeof fields>>>;

  constructor({ dataDir, outputsDir, log }: { dataDir: string; outputsDir: string; log: JsonFileLog }) {
    this.#file = openJsonFile(join(dataDir, 'settings.json'), {
      fields,
      defaults: { ...defaults, outputs_folder: outputsDir, earlier_outputs_folders: [] },
      log,
      mode: 0o600,
    });
  }

  /** Parsed once, when the file is opened or changed. */
  get settings(): Settings {
    const { earlier_outputs_folders: _, ...settings } = this.#file.value;
    return settings;
  }

  /** Folders with images beside `outputs_folder`. */
  get earlierFolders(): string[] {
    const { earlier_outputs_folders: earlier, outputs_folder: current } = this.#file.value;
    return earlier.filter((folder) => folder !== current);
  }

  /** Resolves when the change is on the disk; a rejection (`disk_full`, `folder_not_writable`, `disk_failed`) has changed nothing. */
  change(change: SettingsChange): Promise<void> {
    return this.#file.change((draft) => {
      const { outputs_folder: before } = draft;
      Object.assign(draft, change);
      if (draft.outputs_folder !== before) draft.earlier_outputs_folders = [...new Set([...draft.earlier_outputs_folders, before])];
    });
  }
}
