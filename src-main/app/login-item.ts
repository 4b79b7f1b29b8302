import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { app } from 'electron';
import { appImageFile } from '#main/config/app-image.ts';

/** Argument of a start at login: the window stays hidden. */
export const HIDDEN_ARGUMENT = '--hidden';

/** Switches the start at login on or off. */
export async function setStartAtLogin(isOn: boolean): Promise<void> {
  if (process.platform === 'linux') await setAutostartFile(isOn);
  else app.setLoginItemSettings({ openAtLogin: isOn, args: [HIDDEN_ARGUMENT] });
}

/** Desktop Application Autostart Specification: a desktop entry in the user's `autostart` folder. */
async function setAutostartFile(isOn: boolean): Promise<void> {
  const folder = join(app.getPath('appData'), 'autostart');
  const file = join(folder, 'z-image-turbo-studio.desktop');
  if (!isOn) {
    await rm(file, { force: true });
    return;
  }
  await mkdir(folder, { recursive: true });
  await writeFile(file, autostartEntry(appImageFile() ?? process.execPath));
}

/**
 * @param executable Quoted as the `Exec` key of the Desktop Entry Specification requires. `TryExec` disables the entry once the program is removed.
 * For an AppImage this is its file: the running program is in a mount that does not exist at the next login.
 */
export function autostartEntry(executable: string): string {
  const quoted = `"${executable
    .replace(/["`$\\]/g, '\\$&')
    .replaceAll('\\', '\\\\')
    .replaceAll('%', '%%')}"`;
  return `[Desktop Entry]\nType=Application\nName=Z-Image-Turbo Studio\nExec=${quoted} ${HIDDEN_ARGUMENT}\nTryExec=${executable.replaceAll('\\', '\\\\')}\nX-GNOME-Autostart-enabled=true\n`;
}
