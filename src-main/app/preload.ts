import { contextBridge, ipcRenderer } from 'electron';
import type { DesktopBridge, DesktopCommand } from '#shared/protocol/desktop.ts';

// the names are repeated from desktopChannels: a sandboxed preload is one small file, and importing them would bundle the schemas beside them
const channels = {
  call: 'desktop:call',
  command: 'desktop:command',
  ready: 'desktop:ready',
} satisfies typeof import('#shared/protocol/desktop.ts').desktopChannels;

const bridge: DesktopBridge = {
  ask: (call) => ipcRenderer.invoke(channels.call, call),
  onCommand: (listener) => {
    // the event object stays here: through its sender a page would reach all of ipcRenderer
    const forward = (_event: unknown, command: DesktopCommand): void => listener(command);
    ipcRenderer.on(channels.command, forward);
    ipcRenderer.send(channels.ready);
    return () => {
      ipcRenderer.off(channels.command, forward);
    };
  },
};

contextBridge.exposeInMainWorld('studioDesktop', bridge);
