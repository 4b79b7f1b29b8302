import { stat } from 'node:fs/promises';
import { dialog, ipcMain, shell } from 'electron';
import { type DesktopAnswers, type DesktopCall, desktopCallSchema, desktopChannels } from '#shared/protocol/desktop.ts';
import type { DesktopSettingsStore } from './desktop-settings.ts';
import type { MainWindow } from './main-window.ts';
import type { Updates } from './updates.ts';

export interface BridgeOptions {
  window: MainWindow;
  settings: DesktopSettingsStore;
  updates: Updates;
  /** The real path of an image, or null. */
  imageFile(filename: string): Promise<string | null>;
}

type Answer = DesktopAnswers[DesktopCall['call']];

/** Answers the page's calls. Refuses any other sender and any unknown call. */
export function registerBridge(options: BridgeOptions): void {
  ipcMain.handle(desktopChannels.call, async (event, message: unknown) => {
    if (!options.window.isPage(event.sender, event.senderFrame)) throw new Error("Only the program's own page may call the desktop.");
    const call = desktopCallSchema.safeParse(message);
    if (!call.success) throw new Error('The desktop knows no such call, or not with these arguments.');
    return answer(call.data, options);
  });
}

async function answer(call: DesktopCall, { window, settings, updates, imageFile }: BridgeOptions): Promise<Answer> {
  switch (call.call) {
    case 'showInFolder': {
      const path = await imageFile(call.filename);
      if (path === null) return false;
      shell.showItemInFolder(path);
      return true;
    }
    case 'chooseFolder': {
      const parent = window.browserWindow();
      const options = { properties: ['openDirectory', 'createDirectory'] } satisfies Electron.OpenDialogOptions;
      const { filePaths } = parent === null ? await dialog.showOpenDialog(options) : await dialog.showOpenDialog(parent, options);
      const folder = filePaths[0];
      return folder !== undefined && (await stat(folder)).isDirectory() ? folder : null;
    }
    case 'getSettings':
      return settings.get();
    case 'changeSettings':
      return settings.change(call.change);
    case 'getUpdate':
      return updates.state();
    case 'checkForUpdate':
      return updates.check();
    case 'downloadUpdate':
      return updates.download();
    case 'cancelUpdate':
      return updates.cancel();
    case 'installUpdate':
      return updates.install();
  }
}
