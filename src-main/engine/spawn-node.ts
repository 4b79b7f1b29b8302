import { fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { ProviderName } from '#shared/domain/device.ts';
import type { EngineProcess, ProcessExit, SpawnEngine } from './engine-process.ts';

export interface NodeSpawnOptions {
  /** The process's entry file, `worker.ts` or what it is built to. */
  entry: string;
  /** Environment that it inherits, asked for at each start. */
  env: (provider: ProviderName) => NodeJS.ProcessEnv;
}

/** Starts the engine as a child of plain Node, with structured clone over its IPC pipe. */
export function createNodeSpawn({ entry, env }: NodeSpawnOptions): SpawnEngine {
  return (provider) => spawnNode(entry, { ...env(provider), ORT_DISABLE_TELEMETRY: '1' });
}

function spawnNode(entry: string, env: NodeJS.ProcessEnv): EngineProcess {
  const child = fork(entry, { env, execArgv: [], serialization: 'advanced', stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const kill = () => {
    child.kill('SIGKILL');
  };
  const exited = new Promise<ProcessExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.on('error', (error) => {
      // without a pid it never started and no exit follows; with one, its channel is broken and it is of no more use
      if (child.pid === undefined) resolve({ code: null, signal: null, error });
      else kill();
    });
  });
  return {
    get pid() {
      return child.pid;
    },
    send: (order) => {
      if (child.connected) child.send(order);
    },
    onMessage: (listener) => child.on('message', listener),
    onOutput: (listener) => {
      for (const stream of [child.stdout, child.stderr]) {
        if (stream !== null) createInterface({ input: stream }).on('line', listener);
      }
    },
    onExit: (listener) => exited.then(listener),
    kill,
  };
}
