import { app, dialog, powerMonitor } from 'electron';
import type { MainWindow } from './main-window.ts';
import type { Texts } from './texts.ts';

export interface QuitOptions {
  texts(): Texts;
  window: MainWindow;
  unfinished(): number;
  /** Parks the jobs and closes everything; the process ends after it. */
  close(): Promise<void>;
}

/**
 * One way out for menu, tray, closed window, signal and shutdown of the machine: with jobs in work a person is asked once, then they are parked.
 * Who cannot answer (a signal, the machine going down) is not asked.
 */
export function registerQuit({ texts, window, unfinished, close }: QuitOptions): void {
  let phase: 'open' | 'asking' | 'closing' | 'closed' = 'open';

  const end = async (): Promise<void> => {
    phase = 'closing';
    window.release();
    try {
      await close();
    } finally {
      phase = 'closed';
      app.quit();
    }
  };

  const ask = async (): Promise<boolean> => {
    const jobs = unfinished();
    if (jobs === 0) return true;
    phase = 'asking';
    const words = texts();
    const { response } = await dialog.showMessageBox({
      type: 'question',
      message: words.quitTitle,
      detail: words.quitDetail(jobs),
      buttons: [words.quitNow, words.stay],
      defaultId: 1,
      cancelId: 1,
    });
    phase = 'open';
    return response === 0;
  };

  app.on('before-quit', (event) => {
    if (phase === 'closed') return;
    event.preventDefault();
    if (phase !== 'open') return;
    void ask().then((agreed) => {
      if (agreed) return end();
      // asked because the window was closed: without it the answer "go on" would leave nothing to see
      window.show();
      return undefined;
    });
  });
  app.on('window-all-closed', () => {
    if (process.platform !== 'darwin') app.quit();
  });
  const leave = (): void => {
    if (phase === 'open' || phase === 'asking') void end();
  };
  process.on('SIGTERM', leave);
  process.on('SIGINT', leave);
  powerMonitor.on('shutdown', leave);
}
