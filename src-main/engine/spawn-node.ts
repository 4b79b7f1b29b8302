import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import type { ProviderName } from '#shared/domain/device.ts';
import type { EngineProcess, ProcessExit, SpawnEngine } from './engine-process.ts';
import type { Priority } from './protocol.ts';

export interface NodeSpawnOptions {
  /** The process's entry file, `worker.ts` or what it is built to. */
  entry: string;
  /** The environment that it inherits, read at each start. */
  env: (provider: ProviderName) => NodeJS.ProcessEnv;
  /** `normal` without it. */
  priority?: Priority;
}

/** Starts the engine as a child of plain Node, with structured clone over its IPC pipe. */
export function createNodeSpawn({ entry, env, priority = 'normal' }: NodeSpawnOptions): SpawnEngine {
  return (provider) => spawnNode(entry, { ...env(provider), ORT_DISABLE_TELEMETRY: '1' }, priority);
}

/** Whether the kernel shares the processor out by sessions first. Source: https://man7.org/linux/man-pages/man7/sched.7.html, "The autogroup feature" */
const hasAutogroups = existsSync('/proc/self/autogroup');

/** Then the priority of a thread counts only inside its session: an engine of low priority has a session of its own, and that has the same priority. */
function lowerSession(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, String(constants.priority.PRIORITY_BELOW_NORMAL));
  } catch {
    // the kernel accepts one such change in 100 ms and none for a process that is gone; the engine works without
  }
}

function spawnNode(entry: string, env: NodeJS.ProcessEnv, priority: Priority): EngineProcess {
  const detached = hasAutogroups && priority === 'low';
  let child: ChildProcess;
  try {
    child = fork(entry, { env, execArgv: [], serialization: 'advanced', stdio: ['ignore', 'pipe', 'pipe', 'ipc'], detached });
  } catch (cause) {
    return refusedProcess(cause instanceof Error ? cause : new Error(String(cause)));
  }
  if (detached && child.pid !== undefined) lowerSession(child.pid);
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
    send: (message) => {
      if (child.connected) child.send(message);
    },
    onMessage: (listener) => child.on('message', listener),
    onOutput: (listener) => {
      for (const stream of [child.stdout, child.stderr]) {
        // undefined despite its type when the system has no file descriptors left
        if (stream) createInterface({ input: stream }).on('line', listener);
      }
    },
    onExit: (listener) => exited.then(listener),
    kill,
  };
}

/** A process that the system did not start, ENOMEM for one: it ends in the next turn. */
function refusedProcess(error: Error): EngineProcess {
  return {
    pid: undefined,
    send: () => {},
    onMessage: () => {},
    onOutput: () => {},
    onExit: (listener) => void setImmediate(() => listener({ code: null, signal: null, error })),
    kill: () => {},
  };
}
