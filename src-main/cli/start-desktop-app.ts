import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { desktopDataDir, readAccessKey } from '#main/config/server-target.ts';
import { readServerAddress, serverOrigin } from '#main/server/server-address.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { StartedServer } from './connect.ts';

const START_MS = 60_000;
const POLL_MS = 250;
/** The command is in `resources/bin` of the app's folder. */
const appDir = join(dirname(process.execPath), '../..');
const executables: Partial<Record<NodeJS.Platform, string>> = { linux: 'z-image-turbo-studio', win32: 'Z-Image-Turbo Studio.exe' };

/** Starts the desktop app that this command belongs to, without its window, and leaves it running. Throws `server_unreachable`. */
export async function startDesktopApp(): Promise<StartedServer> {
  const dataDir = desktopDataDir();
  const executable = executables[process.platform];
  if (dataDir === null || executable === undefined) throw new AppError('server_unreachable', 'There is no desktop app to start on this system.', {});
  const child = spawn(join(appDir, executable), ['--hidden'], { detached: true, stdio: 'ignore' });
  child.unref();
  let ended: string | null = null;
  child.once('error', (error) => {
    ended = error.message;
  });
  child.once('exit', (status) => {
    // the app hands over to an instance that runs already, and ends with 0
    if (status !== 0) ended = `it ended with ${status}; on Linux it needs a display`;
  });
  for (let waitedMs = 0; waitedMs < START_MS && ended === null; waitedMs += POLL_MS) {
    await delay(POLL_MS);
    const address = readServerAddress(dataDir);
    if (address === null) continue;
    const url = serverOrigin(address);
    const isThere = await fetch(`${url}/api/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isThere) return { url, key: readAccessKey(dataDir), stop: async () => {} };
  }
  throw new AppError('server_unreachable', `The desktop app could not be started: ${ended ?? `it did not answer within ${START_MS / 1000} s`}.`, {});
}
