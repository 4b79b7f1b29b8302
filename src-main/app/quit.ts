import { app, dialog, powerMonitor } from 'electron';
import type { MainWindow } from './main-window.ts';
import type { Texts } from './texts.ts';

export interface QuitOptions {
  texts(): Texts;
  window: MainWindow;
  unfinished(): number;
  /** Parks the jobs and closes everything; the process ends after it. */
  close(): Promise<void>;
  /** Installs an update that is ready, when all else is closed; `restart` starts the new version. Never rejects. */
  install(restart: boolean): Promise<void>;
}

export interface Quit {
  /** Leaves without a question to install what is ready and to start it. */
  restart(): void;
}

/**
 * One way out for menu, tray, closed window, signal and shutdown of the machine: with jobs in work a person is asked once, then they are parked.
 * Who cannot answer (a signal, the machine going down) is not asked, and nothing is installed then.
 */
export function registerQuit({ texts, window, unfinished, close, install }: QuitOptions): Quit {
  let phase: 'open' | 'asking' | 'closing' | 'closed' = 'open';

  const end = async (why: 'person' | 'signal' | 'update'): Promise<void> => {
    phase = 'closing';
    window.release();
    try {
      await close();
      if (why !== 'signal') await install(why === 'update');
    } finally {
      phase = 'closed';
      app.quit();
    }
  };

  const askAndEnd = async (): Promise<void> => {
    const jobs = unfinished();
    if (jobs > 0) {
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
      // a signal does not wait for the answer
      if (phase !== 'asking') return;
      phase = 'open';
      if (response !== 0) {
        // asked because the window was closed: without it the answer "go on" would leave nothing to see
        window.show();
        return;
      }
    }
    await end('person');
  };

  app.on('before-quit', (event) => {
    if (phase === 'closed') return;
    event.preventDefault();
    if (phase === 'open') void askAndEnd();
  });
  app.on('window-all-closed', () => {
    if (process.platform !== 'darwin') app.quit();
  });
  const leave = (): void => {
    if (phase === 'open' || phase === 'asking') void end('signal');
  };
  process.on('SIGTERM', leave);
  process.on('SIGINT', leave);
  // Electron's types leave the event out; the system waits a little for who holds it back
  powerMonitor.on('shutdown', (...told: Electron.Event[]) => {
    for (const event of told) event.preventDefault();
    leave();
  });
  return {
    restart: () => {
      if (phase === 'open') void end('update');
    },
  };
}
