import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { entryFile } from '#main/lib/program-files.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { StartedServer } from './connect.ts';

/** Starts a server for one command, on a free port of loopback. Its log goes to standard error. Throws `server_unreachable`. */
export async function startOwnServer(dataDir: string | undefined): Promise<StartedServer> {
  const options = ['--host', '127.0.0.1', '--port', '0', '--log-level', 'warn', ...(dataDir === undefined ? [] : ['--data-dir', dataDir])];
  // detached: Ctrl+C in the terminal is for the command alone, which ends the server when it is done
  const child = spawn(process.execPath, [entryFile('cli/main.ts'), 'serve', ...options], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const gone = once(child, 'exit');
  for await (const line of createInterface(child.stdout)) {
    const url = /^ready (http\S+)$/.exec(line)?.[1];
    if (url === undefined) continue;
    child.stdout.resume();
    process.once('exit', () => child.kill());
    return {
      url,
      key: null,
      stop: async () => {
        child.kill();
        await gone;
      },
    };
  }
  throw new AppError('server_unreachable', 'The server ended before it was ready; its last lines above say why.', {});
}
