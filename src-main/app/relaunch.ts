import { app } from 'electron';
import { appImageFile } from '#main/config/app-image.ts';
import { startArguments } from '#main/config/launch-arguments.ts';

/** Starts the program again with the same arguments when this process has ended; an AppImage by its file, since its mount is gone then. */
export function relaunch(): void {
  app.relaunch({ execPath: appImageFile() ?? process.execPath, args: startArguments() });
}
