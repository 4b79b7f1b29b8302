import { z } from 'zod';

/** What the desktop window can do beyond a browser. The page finds it as `window.studioDesktop`, which is undefined in a browser. */

/** `beta` includes pre-releases. */
export const updateChannels = ['latest', 'beta'] as const;
export type UpdateChannel = (typeof updateChannels)[number];

export const desktopSettingsSchema = z.strictObject({
  /** Closing the window leaves the program in the tray. */
  closeToTray: z.boolean(),
  /** Started hidden when the user logs in. */
  startAtLogin: z.boolean(),
  /** Other machines may reach the server; takes effect at the next start. */
  reachableFromNetwork: z.boolean(),
  /** A notification when a job ends while the window is hidden. */
  notifications: z.boolean(),
  /** Language of tray, menu and dialogs; null follows the system. */
  language: z.enum(['en', 'zh']).nullable(),
  /** Checks for a newer version after the start and once a day. */
  checkForUpdates: z.boolean(),
  updateChannel: z.enum(updateChannels),
});
export type DesktopSettings = z.infer<typeof desktopSettingsSchema>;

/** Why an update failed. The installed program is unchanged. */
export const updateFailures = [
  'unreachable',
  'no_channel',
  'not_a_feed',
  'bad_signature',
  'older_version',
  'insecure_address',
  'wrong_size',
  'wrong_hash',
  'cut_short',
  'stalled',
  'no_package',
  'disk_full',
  'not_writable',
  'not_installed',
  'unexpected',
] as const;
export type UpdateFailure = (typeof updateFailures)[number];

/** A newer version. */
export interface Release {
  version: string;
  /** As published: plain text or Markdown, or empty. */
  notes: string;
  /** Bytes of the package. */
  sizeBytes: number;
}

/** The progress of an update. */
export type UpdateState =
  /** `no_feed`: this build has no update feed. `other_installer`: updated by another program (an unpacked archive, a run from the sources). */
  | { state: 'off'; reason: 'no_feed' | 'other_installer' }
  | { state: 'checking' }
  /** Nothing newer. `checkedAt` is ISO 8601, null before the first check. */
  | { state: 'none'; checkedAt: string | null }
  | ({ state: 'available' } & Release)
  | ({ state: 'downloading'; receivedBytes: number } & Release)
  /** Downloaded and verified. `atQuit`: installed when the program quits; `waitsForJobs`: installed when no job is running. */
  | ({ state: 'ready'; atQuit: boolean; waitsForJobs: boolean } & Release)
  /** `detail` is the value found: a version, an address, a number of bytes. */
  | { state: 'failed'; reason: UpdateFailure; detail: string };

/** Everything that the page may ask of the main process, with its arguments. */
export const desktopCallSchema = z.discriminatedUnion('call', [
  /** `filename` of an image, as on the server. */
  z.strictObject({ call: z.literal('showInFolder'), filename: z.string().min(1).max(255) }),
  /** The system's folder chooser: an absolute path, or null when the user cancels. */
  z.strictObject({ call: z.literal('chooseFolder') }),
  z.strictObject({ call: z.literal('getSettings') }),
  z.strictObject({ call: z.literal('changeSettings'), change: desktopSettingsSchema.partial() }),
  z.strictObject({ call: z.literal('getUpdate') }),
  /** Asks the feed now, whatever the settings say. */
  z.strictObject({ call: z.literal('checkForUpdate') }),
  /** Starts the download of what is available; progress comes as commands. */
  z.strictObject({ call: z.literal('downloadUpdate') }),
  z.strictObject({ call: z.literal('cancelUpdate') }),
  /** Installs the downloaded update and restarts: at once, or when no job is running. */
  z.strictObject({ call: z.literal('installUpdate') }),
]);
export type DesktopCall = z.infer<typeof desktopCallSchema>;

/** The calls about updates; each answers with the new state. */
export type UpdateCall = 'getUpdate' | 'checkForUpdate' | 'downloadUpdate' | 'cancelUpdate' | 'installUpdate';

/** What each call answers. */
export interface DesktopAnswers extends Record<UpdateCall, UpdateState> {
  showInFolder: boolean;
  chooseFolder: string | null;
  getSettings: DesktopSettings;
  changeSettings: DesktopSettings;
}

/** What the main process asks of the page, by a menu item, a link, a dropped file or a clicked notification. */
export type DesktopCommand =
  | { command: 'go'; screen: 'create' | 'gallery' | 'settings' }
  /** Fill the form from a `zimage://` link. Values are checked as the form checks what is typed. */
  | { command: 'fill'; params: Record<string, string | number> }
  /** A PNG that was dropped on the icon or opened with the program; its recipe is to be read. */
  | { command: 'open_image'; name: string; png: Uint8Array }
  | { command: 'show_job'; jobId: string }
  /** The new state of the update. */
  | { command: 'update'; update: UpdateState };

/** Channel names between preload and main process. */
export const desktopChannels = { call: 'desktop:call', command: 'desktop:command', ready: 'desktop:ready' } as const;

export interface DesktopBridge {
  /** Rejects with the main process's error message. */
  ask<C extends DesktopCall>(call: C): Promise<DesktopAnswers[C['call']]>;
  /** Commands that came before the first listener are kept for it. Returns the function that removes the listener. */
  onCommand(listener: (command: DesktopCommand) => void): () => void;
}
