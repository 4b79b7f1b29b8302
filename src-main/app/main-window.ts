import { BrowserWindow, ipcMain, nativeTheme, screen, type WebContents } from 'electron';
import { type DesktopCommand, desktopChannels } from '#shared/protocol/desktop.ts';
import { createCrashBudget } from './crash-budget.ts';
import { isOwnPage } from './page-guard.ts';
import { windowOptions } from './window-options.ts';
import { createWindowStates } from './window-state.ts';

export interface MainWindowOptions {
  preloadPath: string;
  iconPath: string;
  /** File that keeps the window's position. */
  stateFile: string;
  /** Where our server serves the page. */
  origin: string;
  /** The cookie that presents the access key. */
  keyCookie(): { name: string; value: string };
  /** True keeps the program in the tray when the window is closed. */
  hidesOnClose(): boolean;
  /** The page crashed several times in a row, and the window stays empty until `reload` is called. */
  onPageLost(reload: () => void): void;
}

export interface MainWindow {
  /** Brings the window up; creates it if it was closed. */
  show(): void;
  /** Creates it without showing it, for a start at login. */
  prepare(): void;
  isVisible(): boolean;
  /** Sends a command to the page, at once or as soon as the page listens. */
  send(command: DesktopCommand): void;
  /** Sends a command only if the page listens now. A page that loads later asks for the state. */
  sendIfListening(command: DesktopCommand): void;
  /** True when the sender of a message is our page in our window, not a frame in it and not another page. */
  isPage(contents: WebContents, frame: { url: string } | null): boolean;
  /** 0 to 1 on the task bar; null removes the bar. */
  setProgress(fraction: number | null): void;
  /** From now on closing the window closes it. */
  release(): void;
  browserWindow(): BrowserWindow | null;
}

/** The one window of the program, an ordinary client of the server at `origin`. */
export function createMainWindow(options: MainWindowOptions): MainWindow {
  const states = createWindowStates(options.stateFile);
  let window: BrowserWindow | null = null;
  let isReleased = false;
  let isListening = false;
  let waiting: DesktopCommand[] = [];
  const mayReload = createCrashBudget();

  const displays = () => screen.getAllDisplays().map((display) => display.workArea);
  const isPage: MainWindow['isPage'] = (contents, frame) =>
    window !== null && contents === window.webContents && frame !== null && frame === contents.mainFrame && isOwnPage(frame.url, options.origin);

  ipcMain.on(desktopChannels.ready, (event) => {
    if (!isPage(event.sender, event.senderFrame)) return;
    isListening = true;
    for (const command of waiting) event.sender.send(desktopChannels.command, command);
    waiting = [];
  });

  const remember = (): void => {
    if (window === null || window.isDestroyed() || window.isMinimized()) return;
    states.write(displays(), { bounds: window.getNormalBounds(), maximized: window.isMaximized() });
  };

  const open = (thenShow: boolean): BrowserWindow => {
    const { bounds, maximized } = states.read(displays());
    const opened = new BrowserWindow(windowOptions(options.preloadPath, bounds, options.iconPath, nativeTheme.shouldUseDarkColors));
    window = opened;
    if (thenShow) opened.once('ready-to-show', () => opened.show());
    opened.once('show', () => {
      if (maximized) opened.maximize();
    });
    opened.on('close', (event) => {
      remember();
      if (isReleased || !options.hidesOnClose()) return;
      event.preventDefault();
      opened.hide();
    });
    opened.on('closed', () => {
      window = null;
      isListening = false;
    });
    opened.webContents.on('did-start-navigation', (details) => {
      if (details.isMainFrame && !details.isSameDocument) isListening = false;
    });
    opened.webContents.on('render-process-gone', (_event, details) => {
      if (details.reason === 'clean-exit') return;
      const reload = (): void => {
        if (!opened.isDestroyed()) opened.webContents.reload();
      };
      // not within the event: the dead process is still attached then
      if (mayReload()) setImmediate(reload);
      else options.onPageLost(reload);
    });
    // without the cookie the page works too, unless the server asks this machine for the key; it shows the form for it then
    const signedIn = opened.webContents.session.cookies
      .set({ url: options.origin, ...options.keyCookie(), httpOnly: true, sameSite: 'strict' })
      .catch(() => {});
    const loaded = signedIn.then(() => opened.loadURL(options.origin));
    loaded.catch(() => {
      // our own process serves the page: it fails only when the program is about to end
    });
    return opened;
  };

  return {
    prepare: () => {
      if (window === null) open(false);
    },
    show: () => {
      if (window === null) {
        open(true);
        return;
      }
      if (window.isMinimized()) window.restore();
      window.show();
      window.focus();
    },
    isVisible: () => window?.isVisible() === true && !window.isMinimized(),
    send: (command) => {
      if (window !== null && isListening) window.webContents.send(desktopChannels.command, command);
      else waiting.push(command);
    },
    sendIfListening: (command) => {
      if (window !== null && isListening) window.webContents.send(desktopChannels.command, command);
    },
    isPage,
    setProgress: (fraction) => window?.setProgressBar(fraction ?? -1),
    release: () => {
      isReleased = true;
    },
    browserWindow: () => window,
  };
}
