import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { errnoCode } from '#main/lib/errno-code.ts';
import { renameDurably, writeFileDurably } from '#main/lib/write-file.ts';
import { type Settings, type SettingsChange, settingsSchema } from '#shared/protocol/settings.ts';

/** The part of a logger that is used here. */
interface Log {
  warn(fields: Record<string, unknown>, text: string): void;
}

/** What the file holds: the settings that were ever changed, and every folder that pictures were ever kept in. */
const storedSchema = settingsSchema.partial().extend({ earlier_outputs_folders: z.array(z.string()).optional() });
type Stored = z.infer<typeof storedSchema>;

/** `settings.json` in the data folder. A file that cannot be read counts as absent and is kept until the next change. */
export class SettingsFile {
  readonly #path: string;
  readonly #defaults: Settings;
  #stored: Stored;
  #lastWrite: Promise<unknown> = Promise.resolve();

  constructor(path: string, defaults: Settings, log: Log) {
    this.#path = path;
    this.#defaults = defaults;
    this.#stored = load(path, log);
  }

  get settings(): Settings {
    const { earlier_outputs_folders: _, ...chosen } = this.#stored;
    return settingsSchema.parse({ ...this.#defaults, ...chosen });
  }

  /** Folders that hold pictures beside `outputs_folder`. */
  get earlierFolders(): string[] {
    return (this.#stored.earlier_outputs_folders ?? []).filter((folder) => folder !== this.settings.outputs_folder);
  }

  /** Resolves once the change is on the disk and holds; a rejection (`disk_full`, `folder_not_writable`, `disk_failed`) has changed nothing. */
  change(change: SettingsChange): Promise<void> {
    // one after the other, each upon what holds then
    const next = this.#lastWrite.then(async () => {
      const stored: Stored = { ...this.#stored, ...change };
      const { outputs_folder: before } = this.settings;
      if (change.outputs_folder !== undefined && change.outputs_folder !== before) {
        stored.earlier_outputs_folders = [...new Set([...(stored.earlier_outputs_folders ?? []), before])];
      }
      await writeFileDurably(`${this.#path}.new`, Buffer.from(`${JSON.stringify(stored, null, 2)}\n`), 0o600);
      await renameDurably(`${this.#path}.new`, this.#path);
      this.#stored = stored;
    });
    this.#lastWrite = next.catch(() => undefined);
    return next;
  }
}

function load(path: string, log: Log): Stored {
  try {
    return storedSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (thrown) {
    if (errnoCode(thrown) !== 'ENOENT') log.warn({ err: thrown, path }, 'the settings cannot be read; every setting has its default until one is changed');
    return {};
  }
}
