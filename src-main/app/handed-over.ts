import { app } from 'electron';
import type { DesktopCommand } from '#shared/protocol/desktop.ts';
import { readLaunchRequest } from './launch-request.ts';

export interface HandedOver {
  /** From now on `take` gets what is handed over, and at once what came before. A start that hands nothing over counts too: it asks for the window. */
  open(take: (commands: DesktopCommand[]) => void): void;
}

/** What other starts hand over with their request for the single-instance lock, and macOS as events. It may come before there is a window. */
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

/** Electron's own list of a second start's arguments has its switches sorted and Chromium's added; ours comes beside it as it was. */
function argumentsOf(data: unknown): string[] {
  const argv: unknown = typeof data === 'object' && data !== null ? Reflect.get(data, 'argv') : undefined;
  return Array.isArray(argv) ? argv.filter((argument) => typeof argument === 'string') : [];
}
