import { Menu, type MenuItemConstructorOptions } from 'electron';
import type { DesktopCommand } from '#shared/protocol/desktop.ts';
import type { Texts } from './texts.ts';

export interface MenuActions {
  send(command: DesktopCommand): void;
  checkForUpdates(): void;
  quit(): void;
}

/** The application menu in each system's usual order. */
export function menuTemplate(texts: Texts, actions: MenuActions, platform: NodeJS.Platform): MenuItemConstructorOptions[] {
  const isMac = platform === 'darwin';
  const go = (screen: 'create' | 'gallery' | 'settings') => () => actions.send({ command: 'go', screen });
  const settings: MenuItemConstructorOptions = { label: texts.settings, accelerator: 'CommandOrControl+,', click: go('settings') };
  const updates: MenuItemConstructorOptions = { label: texts.checkForUpdates, click: actions.checkForUpdates };
  const quit: MenuItemConstructorOptions = { label: texts.quit, accelerator: 'CommandOrControl+Q', click: actions.quit };
  const file: MenuItemConstructorOptions = {
    label: texts.file,
    submenu: [
      { label: texts.newImage, accelerator: 'CommandOrControl+N', click: go('create') },
      { label: texts.gallery, accelerator: 'CommandOrControl+G', click: go('gallery') },
      { type: 'separator' },
      ...(isMac ? [] : [settings]),
      { role: 'close' },
      ...(isMac ? [] : [quit]),
    ],
  };
  const edit: MenuItemConstructorOptions = {
    label: texts.edit,
    submenu: [{ role: 'undo' }, { role: 'redo' }, { type: 'separator' }, { role: 'cut' }, { role: 'copy' }, { role: 'paste' }, { role: 'selectAll' }],
  };
  const view: MenuItemConstructorOptions = {
    label: texts.view,
    submenu: [
      { role: 'reload' },
      { type: 'separator' },
      { role: 'resetZoom' },
      { role: 'zoomIn' },
      { role: 'zoomOut' },
      { type: 'separator' },
      { role: 'togglefullscreen' },
    ],
  };
  const app: MenuItemConstructorOptions = {
    role: 'appMenu',
    submenu: [
      { role: 'about' },
      updates,
      { type: 'separator' },
      settings,
      { type: 'separator' },
      { role: 'hide' },
      { role: 'hideOthers' },
      { role: 'unhide' },
      { type: 'separator' },
      quit,
    ],
  };
  const help: MenuItemConstructorOptions = { label: texts.help, submenu: [updates] };
  return [...(isMac ? [app] : []), file, edit, view, ...(isMac ? [] : [help])];
}

export function setMenu(texts: Texts, actions: MenuActions): void {
  Menu.setApplicationMenu(Menu.buildFromTemplate(menuTemplate(texts, actions, process.platform)));
}
