import type { BrowserWindowConstructorOptions, Rectangle, WebPreferences } from 'electron';

/** The page has the rights of a web page, by Electron's security checklist. */
function webPreferences(preloadPath: string): WebPreferences {
  return {
    preload: preloadPath,
    sandbox: true,
    contextIsolation: true,
    nodeIntegration: false,
    nodeIntegrationInWorker: false,
    nodeIntegrationInSubFrames: false,
    webSecurity: true,
    allowRunningInsecureContent: false,
    experimentalFeatures: false,
    webviewTag: false,
    navigateOnDragDrop: false,
    safeDialogs: true,
    spellcheck: false,
  };
}

/** Options of the one window. It stays hidden until its first paint. */
export function windowOptions(preloadPath: string, bounds: Rectangle, iconPath: string, dark: boolean): BrowserWindowConstructorOptions {
  return {
    ...bounds,
    minWidth: 390,
    minHeight: 560,
    show: false,
    title: 'Z-Image-Turbo Studio',
    icon: iconPath,
    autoHideMenuBar: true,
    backgroundColor: dark ? '#111318' : '#ffffff',
    webPreferences: webPreferences(preloadPath),
  };
}
