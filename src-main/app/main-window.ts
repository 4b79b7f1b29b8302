import { BrowserWindow, ipcMain, nativeTheme, screen, type WebContents } from 'electron';
import { type DesktopCommand, desktopChannels } from '#shared/protocol/desktop.ts';
import { isOwnPage } from './page-guard.ts';
import { windowOptions } from './window-options.ts';
import { createWindowStates } from './window-state.ts';

export interface MainWindowOptions {
  preloadPath: string;
  iconPath: string;
  /** File that remembers where the window stood. */
  stateFile: string;
  /** Where our server serves the page. */
  origin: string;
  /** True keeps the program in the tray when the window is closed. */
  hidesOnClose(): boolean;
}

export interface MainWindow {
  /** Brings the window up, made anew where it was closed. */
  show(): void;
  /** Makes it without showing it, as a start at login does. */
  prepare(): void;
  isVisible(): boolean;
  /** Hands a command to the page, at once or as soon as the page listens. */
  send(command: DesktopCommand): void;
  /** Hands it over if the page listens now, else not at all: the page asks for what it missed. */
  tell(command: DesktopCommand): void;
  /** True when the sender of a message is our page in our window, not a frame in it and not another page. */
  isPage(contents: WebContents, frame: { url: string } | null): boolean;
  /** 0 to 1 on the task bar; null takes the bar away. */
  setProgress(fraction: number | null): void;
  /** From now on closing is closing. */
  release(): void;
  browserWindow(): BrowserWindow | null;
}

/** A page that dies again this soon after a reload will not be saved by another one. */
const RELOAD_WINDOW_MS = 60_000;
const MAX_RELOADS = 3;

/** The one window of the program: an ordinary client of the server behind `origin`. */
export function createMainWindow(options: MainWindowOptions): MainWindow {
  const states = createWindowStates(options.stateFile);
  let window: BrowserWindow | null = null;
  let isReleased = false;
  let isListening = false;
  let waiting: DesktopCommand[] = [];
  let reloads: number[] = [];

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
      const now = Date.now();
      reloads = [...reloads.filter((time) => now - time < RELOAD_WINDOW_MS), now];
      // not within the event: the dead process is still attached then
      if (reloads.length > MAX_RELOADS) return;
      setImmediate(() => {
        if (!opened.isDestroyed()) opened.webContents.reload();
      });
    });
    opened.loadURL(options.origin).catch(() => {
      // the page is of our own process: it fails only when the program is about to end
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
    tell: (command) => {
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
