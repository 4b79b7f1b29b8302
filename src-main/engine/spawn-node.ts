import { fork } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
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

/** Whether the kernel shares the processor out by sessions first. Source: https://man7.org/linux/man-pages/man7/sched.7.html, "The autogroup feature" */
const hasAutogroups = existsSync('/proc/self/autogroup');

/**
 * The model thread's priority counts only inside its session, so a browser, which has one of its own, would get no more of the processor than the engine:
 * the engine has a session of its own, and that has the same priority.
 */
function letOthersGoFirst(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, String(constants.priority.PRIORITY_BELOW_NORMAL));
  } catch {
    // the kernel takes one such wish in 100 ms and none of a process that is gone; the engine works without
  }
}

function spawnNode(entry: string, env: NodeJS.ProcessEnv): EngineProcess {
  const child = fork(entry, { env, execArgv: [], serialization: 'advanced', stdio: ['ignore', 'pipe', 'pipe', 'ipc'], detached: hasAutogroups });
  if (hasAutogroups && child.pid !== undefined) letOthersGoFirst(child.pid);
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
