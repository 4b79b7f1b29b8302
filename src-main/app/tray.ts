import { Menu, type MenuItemConstructorOptions, Tray } from 'electron';
import type { RecentImage } from '#main/studio/hosted-studio.ts';
import type { Activity } from './activity.ts';
import type { Texts } from './texts.ts';

export interface TrayState {
  activity: Activity;
  isPaused: boolean;
  /** Newest first. */
  images: readonly RecentImage[];
  /** The server runs in another process. */
  isAttached: boolean;
  /** A newer version, or null. */
  offered: string | null;
}

export interface TrayActions {
  open(): void;
  showImage(jobId: string): void;
  setPaused(isPaused: boolean): void;
  checkForUpdates(): void;
  quit(): void;
}

const MAX_LABEL_CHARACTERS = 48;

/** The tray's menu. Nothing in it changes with every step. */
export function trayTemplate(texts: Texts, { activity, isPaused, images, isAttached, offered }: TrayState, actions: TrayActions): MenuItemConstructorOptions[] {
  return [
    { label: activity.unfinished === 0 ? texts.idle : texts.inProgress(activity.unfinished), enabled: false },
    ...(isAttached ? [{ label: texts.attached, enabled: false }] : []),
    { type: 'separator' },
    { label: texts.open, click: actions.open },
    { label: isPaused ? texts.resumeQueue : texts.pauseQueue, click: () => actions.setPaused(!isPaused) },
    {
      label: texts.recentImages,
      enabled: images.length > 0,
      submenu: images.map(({ jobId, prompt }) => ({ id: jobId, label: shortened(prompt), click: () => actions.showImage(jobId) })),
    },
    { type: 'separator' },
    { label: offered === null ? texts.checkForUpdates : texts.updateOffered(offered), click: actions.checkForUpdates },
    { label: texts.quit, click: actions.quit },
  ];
}

export interface TrayIcon {
  update(texts: Texts, state: TrayState): void;
}

export function createTray(iconPath: string, actions: TrayActions): TrayIcon {
  const tray = new Tray(iconPath);
  tray.on('click', actions.open);
  let shown = '';
  return {
    update: (texts, state) => {
      const lines = [activityText(texts, state.activity), ...(state.isAttached ? [texts.attached] : [])];
      tray.setToolTip(`Z-Image-Turbo Studio: ${lines.join('\n')}`);
      const items = trayTemplate(texts, state, actions);
      const words = JSON.stringify(items);
      // a menu that is replaced closes under the mouse
      if (words === shown) return;
      shown = words;
      tray.setContextMenu(Menu.buildFromTemplate(items));
    },
  };
}

function activityText(texts: Texts, { unfinished, fraction }: Activity): string {
  if (unfinished === 0) return texts.idle;
  return `${texts.inProgress(unfinished)}${fraction === null ? '' : ` (${Math.floor(fraction * 100)} %)`}`;
}

function shortened(prompt: string): string {
  // a single ampersand underlines the next letter
  const line = prompt.replace(/\s+/g, ' ').replaceAll('&', '&&');
  const characters = [...line];
  return characters.length <= MAX_LABEL_CHARACTERS ? line : `${characters.slice(0, MAX_LABEL_CHARACTERS - 1).join('')}…`;
}
