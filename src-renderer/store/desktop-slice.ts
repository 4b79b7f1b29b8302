import type { StateCreator } from 'zustand/vanilla';
import type { DesktopSlice, StudioDeps, StudioState } from './state.ts';

type Needs = DesktopSlice & Pick<StudioState, 'notify' | 'show' | 'fill' | 'reuseFile' | 'openJob'>;

export function createDesktopSlice({ desktop }: Pick<StudioDeps, 'desktop'>): StateCreator<Needs, [], [], DesktopSlice> {
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
          case 'open_image':
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
