import { app } from 'electron';
import { appImageFile } from '#main/config/app-image.ts';
import { startArguments } from '#main/config/launch-arguments.ts';

/** Starts the program anew, with the arguments of this start, once this process has ended. An AppImage is started by its file: what runs lies in a mount that is gone then. */
export function relaunch(): void {
  app.relaunch({ execPath: appImageFile() ?? process.execPath, args: startArguments() });
}
