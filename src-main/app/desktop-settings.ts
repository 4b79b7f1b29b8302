import { type JsonFileLog, openJsonFile } from '#main/lib/json-file.ts';
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
  /** Resolves when the change is on the disk and every listener has applied it; rejects with the error of the first that could not. */
  change(change: { [K in keyof DesktopSettings]?: DesktopSettings[K] | undefined }): Promise<DesktopSettings>;
  onChange(listener: (settings: DesktopSettings) => void | Promise<void>): void;
}

/** The settings that only the desktop app has, in one JSON file. */
export function createDesktopSettings(path: string, log: JsonFileLog): DesktopSettingsStore {
  const file = openJsonFile(path, { fields: desktopSettingsSchema.shape, defaults: defaultDesktopSettings, log });
  const listeners: Parameters<DesktopSettingsStore['onChange']>[0][] = [];
  return {
    get: () => file.value,
    change: async (change) => {
      await file.change((draft) => Object.assign(draft, desktopSettingsSchema.parse({ ...draft, ...change })));
      for (const listener of listeners) await listener(file.value);
      return file.value;
    },
    onChange: (listener) => {
      listeners.push(listener);
    },
  };
}
