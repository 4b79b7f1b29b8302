import { readFileSync } from 'node:fs';
import { renameDurably, writeFileDurably } from '#main/lib/write-file.ts';
import { type DesktopSettings, desktopSettingsSchema } from '#shared/protocol/desktop.ts';

export const defaultDesktopSettings: DesktopSettings = {
  closeToTray: false,
  startAtLogin: false,
  reachableFromNetwork: false,
  notifications: true,
  language: null,
  checkForUpdates: true,
  updateChannel: 'latest',
};

export interface DesktopSettingsStore {
  get(): DesktopSettings;
  /** Resolves when the change is on the disk and every listener has done what it asks for; rejects with what one of them could not do. */
  change(change: { [K in keyof DesktopSettings]?: DesktopSettings[K] | undefined }): Promise<DesktopSettings>;
  onChange(listener: (settings: DesktopSettings) => void | Promise<void>): void;
}

/** The settings that only the desktop app has, in one JSON file. What is missing or wrong in it has its default value. */
export function createDesktopSettings(file: string): DesktopSettingsStore {
  let settings = load(file);
  const listeners: Parameters<DesktopSettingsStore['onChange']>[0][] = [];
  let lastWrite: Promise<unknown> = Promise.resolve();
  // one after the other, each with what holds then: of two changes at once the later file holds both
  const write = (): Promise<void> => {
    const next = lastWrite.then(async () => {
      await writeFileDurably(`${file}.new`, Buffer.from(`${JSON.stringify(settings, null, 2)}\n`));
      await renameDurably(`${file}.new`, file);
    });
    lastWrite = next.catch(() => undefined);
    return next;
  };
  return {
    get: () => settings,
    change: async (change) => {
      settings = desktopSettingsSchema.parse({ ...settings, ...change });
      await write();
      for (const listener of listeners) await listener(settings);
      return settings;
    },
    onChange: (listener) => {
      listeners.push(listener);
    },
  };
}

function load(file: string): DesktopSettings {
  try {
    const stored: unknown = JSON.parse(readFileSync(file, 'utf8'));
    const parsed = desktopSettingsSchema.partial().strip().safeParse(stored);
    return parsed.success ? desktopSettingsSchema.parse({ ...defaultDesktopSettings, ...parsed.data }) : defaultDesktopSettings;
  } catch {
    return defaultDesktopSettings;
  }
}
