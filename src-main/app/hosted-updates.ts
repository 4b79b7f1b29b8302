import { app, dialog } from 'electron';
import type { UpdateChannel, UpdateState } from '#shared/protocol/desktop.ts';
import type { MainWindow } from './main-window.ts';
import { createPackageUpdater } from './package-updater.ts';
import { relaunch } from './relaunch.ts';
import type { Texts } from './texts.ts';
import { UpdateRefusal } from './update-refusal.ts';
import { loadUpdateSource } from './update-source.ts';
import { createUpdates, type Updates } from './updates.ts';

const FIRST_CHECK_MS = 60_000;
const CHECK_INTERVAL_MS = 24 * 3600 * 1000;

export interface HostedUpdatesOptions {
  channel(): UpdateChannel;
  /** Whether it asks by itself. */
  isAutomatic(): boolean;
  onChange(state: UpdateState): void;
  restart(): void;
}

/** The updates of this build, from the feed that it names, checked once a day where the user lets it. */
export function createHostedUpdates({ channel, isAutomatic, onChange, restart }: HostedUpdatesOptions): Updates {
  const source = loadUpdateSource();
  const updater = source === null ? 'no_feed' : (createPackageUpdater(source, channel) ?? 'other_installer');
  const updates = createUpdates({ updater, onChange, restart });
  const check = (): void => {
    if (isAutomatic()) void updates.check();
  };
  setTimeout(check, FIRST_CHECK_MS).unref();
  setInterval(check, CHECK_INTERVAL_MS).unref();
  return updates;
}

/** Installs what is ready as the last step of the way out. Where that fails a person is told, and who wanted the new version gets the old one back. */
export async function installAtTheEnd(updates: Updates, window: MainWindow, texts: Texts, restart: boolean): Promise<void> {
  if (updates.state().state !== 'ready') return;
  window.browserWindow()?.hide();
  // the new version starts while this one is still ending
  if (restart) app.releaseSingleInstanceLock();
  try {
    await updates.installReady(restart);
  } catch (thrown) {
    const reason = thrown instanceof UpdateRefusal ? `${thrown.reason}: ${thrown.detail}` : String(thrown);
    await dialog.showMessageBox({ type: 'error', message: texts.updateFailedTitle, detail: texts.updateFailedDetail(reason) });
    if (restart) relaunch();
  }
}
