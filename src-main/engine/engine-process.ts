import type { RpcRequest } from '#main/lib/rpc.ts';
import type { ProviderName } from '#shared/domain/device.ts';

/** How a process ended. Under Electron `signal` is always null. */
export interface ProcessExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Why it could not even be started. */
  error?: Error;
}

/** A running worker process, started by Node's `fork` or Electron's `utilityProcess`. */
export interface EngineProcess {
  /** Undefined until it runs. */
  readonly pid: number | undefined;
  /** Does nothing once the process is gone; `onExit` reports that. */
  send(message: RpcRequest): void;
  /** Messages as they come, not checked yet. */
  onMessage(listener: (message: unknown) => void): void;
  /** A line that it wrote to its standard output or error. */
  onOutput(listener: (line: string) => void): void;
  /** Called exactly once, also when it never started. */
  onExit(listener: (exit: ProcessExit) => void): void;
  /** Ends it at once, with SIGKILL: a native call inside hears nothing else. */
  kill(): void;
}

/**
 * Starts the engine's process for an execution provider, whose libraries it must find: that is decided by its environment before its first instruction.
 * Telemetry of onnxruntime must be off in it from then on.
 */
export type SpawnEngine = (provider: ProviderName) => EngineProcess;
