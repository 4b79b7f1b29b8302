import { app, dialog } from 'electron';
import type { UpdateChannel, UpdateState } from '#shared/protocol/desktop.ts';
import type { MainWindow } from './main-window.ts';
import { createPackageUpdater } from './package-updater.ts';
import { relaunch } from './relaunch.ts';
import type { Texts } from './texts.ts';
import { asUpdateRefusal } from './update-refusal.ts';
import { loadUpdateSource } from './update-source.ts';
import { createUpdates, type PackageUpdater, type Updates } from './updates.ts';

const FIRST_CHECK_MS = 60_000;
const CHECK_INTERVAL_MS = 24 * 3600 * 1000;

export interface HostedUpdatesOptions {
  channel(): UpdateChannel;
  /** Whether to look for updates without being asked. */
  isAutomatic(): boolean;
  onChange(state: UpdateState): void;
  restart(): void;
  report(error: unknown, text: string): void;
}

/** Updates of this build from the feed that it names, checked once a day if the settings say so. */
export function createHostedUpdates({ channel, isAutomatic, onChange, restart, report }: HostedUpdatesOptions): Updates {
  const updates = createUpdates({ updater: updaterOfThisBuild(channel, report), onChange, restart });
  const check = (): void => {
    if (isAutomatic()) updates.check().catch((thrown: unknown) => report(thrown, 'the search for updates failed'));
  };
  setTimeout(check, FIRST_CHECK_MS).unref();
  setInterval(check, CHECK_INTERVAL_MS).unref();
  return updates;
}

/** A build with a bad feed must start like any other: it only does not update itself. */
function updaterOfThisBuild(channel: () => UpdateChannel, report: HostedUpdatesOptions['report']): PackageUpdater | 'no_feed' | 'other_installer' {
  try {
    const source = loadUpdateSource();
    return source === null ? 'no_feed' : (createPackageUpdater(source, channel) ?? 'other_installer');
  } catch (thrown) {
    report(thrown, 'the feed that this build names cannot be used; the program does not update itself');
    return 'no_feed';
  }
}

/** Installs a ready version as the last step of quitting. If that fails it shows why, and the old version starts again if a restart was wanted. */
export async function installAtTheEnd(updates: Updates, window: MainWindow, texts: Texts, restart: boolean): Promise<void> {
  if (updates.state().state !== 'ready') return;
  window.browserWindow()?.hide();
  // the new version starts before this process has ended
  if (restart) app.releaseSingleInstanceLock();
  try {
    await updates.installReady(restart);
  } catch (thrown) {
    const { reason, detail } = asUpdateRefusal(thrown);
    await dialog.showMessageBox({ type: 'error', message: texts.updateFailedTitle, detail: texts.updateFailedDetail(`${reason}: ${detail}`) });
    if (restart) relaunch();
  }
}
