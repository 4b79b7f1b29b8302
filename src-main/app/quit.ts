import { app, dialog, powerMonitor } from 'electron';
import type { MainWindow } from './main-window.ts';
import { createQuitSequence } from './quit-sequence.ts';
import type { Texts } from './texts.ts';

/** Longer than any image takes to be written; a task that is still running then is recovered at the next start. */
const CLOSE_DEADLINE_MS = 20_000;

export interface QuitOptions {
  texts(): Texts;
  window: MainWindow;
  unfinished(): number;
  /** Parks the jobs and closes everything; the process ends after it. */
  close(): Promise<void>;
  /** Installs an update that is ready, after everything is closed; `restart` starts the new version. */
  install(restart: boolean): Promise<void>;
  report(error: unknown, text: string): void;
}

/** Connects every way to quit with the one sequence. Returns the way that installs an update and starts it. */
export function registerQuit({ texts, window, unfinished, close, install, report }: QuitOptions): { restart(): void } {
  let isEnded = false;
  const sequence = createQuitSequence({
    confirm: () => confirmQuit(texts(), window, unfinished()),
    begin: window.release,
    close,
    install,
    exit: (isClosed) => {
      isEnded = true;
      if (isClosed) app.quit();
      else app.exit(1);
    },
    report,
    deadlineMs: CLOSE_DEADLINE_MS,
  });

  app.on('before-quit', (event) => {
    if (isEnded) return;
    event.preventDefault();
    sequence.byUser();
  });
  app.on('window-all-closed', () => {
    if (process.platform !== 'darwin') app.quit();
  });
  process.on('SIGTERM', sequence.bySignal);
  process.on('SIGINT', sequence.bySignal);
  process.on('SIGHUP', sequence.bySignal);
  // Electron's types leave the event out; the system waits a moment for a program that prevents the default
  powerMonitor.on('shutdown', (...events: Electron.Event[]) => {
    for (const event of events) event.preventDefault();
    sequence.bySignal();
  });
  return { restart: sequence.forUpdate };
}

async function confirmQuit(texts: Texts, window: MainWindow, jobs: number): Promise<boolean> {
  if (jobs === 0) return true;
  const { response } = await dialog.showMessageBox({
    type: 'question',
    message: texts.quitTitle,
    detail: texts.quitDetail(jobs),
    buttons: [texts.quitNow, texts.stay],
    defaultId: 1,
    cancelId: 1,
  });
  // the question may come from a closed window: without it a "no" would leave nothing to see
  if (response !== 0) window.show();
  return response === 0;
}
