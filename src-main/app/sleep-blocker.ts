import { powerSaveBlocker } from 'electron';

/** Keeps the machine awake while `isBusy`. The screen may still turn off. */
export function createSleepBlocker(): (isBusy: boolean) => void {
  let id: number | null = null;
  return (isBusy) => {
    if (isBusy && id === null) id = powerSaveBlocker.start('prevent-app-suspension');
    else if (!isBusy && id !== null) {
      powerSaveBlocker.stop(id);
      id = null;
    }
  };
}
