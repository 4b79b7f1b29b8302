import { app } from 'electron';
import type { DesktopCommand } from '#shared/protocol/desktop.ts';
import { readLaunchRequest } from './launch-request.ts';

export interface HandedOver {
  /** Passes everything to `take`, also what came before this call. A start without commands counts too: it asks for the window. */
  open(take: (commands: DesktopCommand[]) => void): void;
}

/** Collects the commands of later starts (from their request for the single-instance lock, and on macOS from events). They may come before there is a window. */
export function collectHandedOver(): HandedOver {
  let waiting: Array<Promise<DesktopCommand[]>> = [];
  let deliver = (request: Promise<DesktopCommand[]>): void => {
    waiting.push(request);
  };
  app.on('second-instance', (_event, _argv, cwd, data) => deliver(readLaunchRequest(argumentsOf(data), cwd)));
  app.on('open-url', (event, url) => {
    event.preventDefault();
    deliver(readLaunchRequest([url], ''));
  });
  app.on('open-file', (event, path) => {
    event.preventDefault();
    deliver(readLaunchRequest([path], ''));
  });
  return {
    open: (take) => {
      deliver = (request) => void request.then(take);
      for (const request of waiting) deliver(request);
      waiting = [];
    },
  };
}

/** Electron sorts the switches of a second start and adds Chromium's, so our own unchanged list comes with it. */
function argumentsOf(data: unknown): string[] {
  const argv: unknown = typeof data === 'object' && data !== null ? Reflect.get(data, 'argv') : undefined;
  return Array.isArray(argv) ? argv.filter((argument) => typeof argument === 'string') : [];
}
