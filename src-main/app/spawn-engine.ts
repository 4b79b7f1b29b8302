import { createInterface } from 'node:readline';
import { utilityProcess } from 'electron';
import type { EngineProcess } from '#main/studio/hosted-studio.ts';

/** Starts the engine as a `utilityProcess`: it has the app's name, ends with the app, and an installed app needs no Node.js for it. */
export function spawnUtility(entry: string, env: NodeJS.ProcessEnv): EngineProcess {
  // set before the library is loaded
  const child = utilityProcess.fork(entry, [], { env: { ...env, ORT_DISABLE_TELEMETRY: '1' }, stdio: 'pipe', serviceName: 'Z-Image-Turbo Studio Engine' });
  let isGone = false;
  const exited = new Promise<{ code: number | null; signal: null }>((resolve) => {
    child.once('exit', (code) => {
      isGone = true;
      resolve({ code, signal: null });
    });
  });
  return {
    get pid() {
      return child.pid;
    },
    send: (message) => {
      if (!isGone) child.postMessage(message);
    },
    onMessage: (listener) => child.on('message', listener),
    onOutput: (listener) => {
      for (const stream of [child.stdout, child.stderr]) {
        if (stream !== null) createInterface({ input: stream }).on('line', listener);
      }
    },
    onExit: (listener) => void exited.then(listener),
    kill: () => {
      // its own kill() sends SIGTERM, which native code ignores during a call
      if (child.pid !== undefined && !isGone) process.kill(child.pid, 'SIGKILL');
      else child.kill();
    },
  };
}
