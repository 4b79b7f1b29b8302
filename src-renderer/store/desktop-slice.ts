import type { StateCreator } from 'zustand/vanilla';
import type { DesktopCommand, DesktopSettings, UpdateCall, UpdateState } from '#shared/protocol/desktop.ts';
import type { StudioDeps, StudioState } from './studio-store.ts';

export interface DesktopSlice {
  /** True in the desktop window, false in a browser. */
  isDesktop: boolean;
  /** What the tray, the start and notifications do; null in a browser and until the main process has told. */
  desktopSettings: DesktopSettings | null;
  refreshDesktopSettings(): void;
  changeDesktopSettings(change: Partial<DesktopSettings>): void;
  /** How far an update of the program is; null in a browser and until the main process has told. */
  update: UpdateState | null;
  askUpdate(call: UpdateCall): void;
  showInFolder(filename: string): void;
  /** Opens the system's folder chooser; null when nothing was chosen. */
  chooseFolder(): Promise<string | null>;
  /** Does what a menu item, a link, a dropped file or a clicked notification asks for. */
  runCommand(command: DesktopCommand): void;
}

export function createDesktopSlice({ desktop }: StudioDeps): StateCreator<StudioState, [], [], DesktopSlice> {
  return (set, get) => {
    function notifyRefusal(thrown: unknown): null {
      get().notify({ tone: 'error', code: 'desktop', message: thrown instanceof Error ? thrown.message : String(thrown) });
      return null;
    }

    return {
      isDesktop: desktop !== null,
      desktopSettings: null,

      refreshDesktopSettings() {
        desktop?.ask({ call: 'getSettings' }).then((desktopSettings) => set({ desktopSettings }), notifyRefusal);
      },

      changeDesktopSettings(change) {
        desktop?.ask({ call: 'changeSettings', change }).then((desktopSettings) => set({ desktopSettings }), notifyRefusal);
      },

      update: null,

      askUpdate(call) {
        desktop?.ask({ call }).then((update) => set({ update }), notifyRefusal);
      },

      showInFolder(filename) {
        desktop?.ask({ call: 'showInFolder', filename }).then((isShown) => {
          if (!isShown) get().notify({ tone: 'error', code: 'unknown_image', message: filename });
        }, notifyRefusal);
      },

      async chooseFolder() {
        return (await desktop?.ask({ call: 'chooseFolder' }).catch(notifyRefusal)) ?? null;
      },

      runCommand(command) {
        switch (command.command) {
          case 'go':
            return get().show(command.screen === 'create' ? 'make' : command.screen);
          case 'fill':
            return get().fill(command.params);
          case 'open_picture':
            return get().reuseFile(new Blob([new Uint8Array(command.png)], { type: 'image/png' }));
          case 'show_job':
            return get().openJob(command.jobId);
          case 'update':
            return set({ update: command.update });
        }
      },
    };
  };
}
