import { z } from 'zod';

/** What the desktop window can do that a browser cannot: the page finds it as `window.studioDesktop`, in a browser that is undefined. */

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
});
export type DesktopSettings = z.infer<typeof desktopSettingsSchema>;

/** Everything that the page may ask of the main process, with its arguments. */
export const desktopCallSchema = z.discriminatedUnion('call', [
  /** `filename` as the server names pictures. */
  z.strictObject({ call: z.literal('showInFolder'), filename: z.string().min(1).max(255) }),
  /** The system's folder chooser: an absolute path, or null when the user cancels. */
  z.strictObject({ call: z.literal('chooseFolder') }),
  z.strictObject({ call: z.literal('getSettings') }),
  z.strictObject({ call: z.literal('changeSettings'), change: desktopSettingsSchema.partial() }),
]);
export type DesktopCall = z.infer<typeof desktopCallSchema>;

/** What each call answers. */
export interface DesktopAnswers {
  showInFolder: boolean;
  chooseFolder: string | null;
  getSettings: DesktopSettings;
  changeSettings: DesktopSettings;
}

/** What the main process asks of the page: a menu item, a link, a dropped file, a notification that was clicked. */
export type DesktopCommand =
  | { command: 'go'; screen: 'create' | 'gallery' | 'settings' }
  /** Fill the form from a `zimage://` link. Values are checked as the form checks what is typed. */
  | { command: 'fill'; params: Record<string, string | number> }
  /** A PNG that was dropped on the icon or opened with the program; its recipe is to be read. */
  | { command: 'open_picture'; name: string; png: Uint8Array }
  | { command: 'show_job'; jobId: string };

/** Channel names between preload and main process. */
export const desktopChannels = { call: 'desktop:call', command: 'desktop:command', ready: 'desktop:ready' } as const;

export interface DesktopBridge {
  /** Rejects with the main process's sentence. */
  ask<C extends DesktopCall>(call: C): Promise<DesktopAnswers[C['call']]>;
  /** Commands that came before the first listener are kept for it. Returns the way to stop listening. */
  onCommand(listener: (command: DesktopCommand) => void): () => void;
}
