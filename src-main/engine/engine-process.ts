import type { ProviderName } from '#shared/domain/device.ts';
import type { Order } from './channel.ts';

/** How a process ended. Under Electron `signal` is always null. */
export interface ProcessExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Why it could not even be started. */
  error?: Error;
}

/** A running engine process as the supervisor sees it, whoever started it: Node's `fork` or Electron's `utilityProcess`. */
export interface EngineProcess {
  /** Undefined until it runs. */
  readonly pid: number | undefined;
  /** Does nothing once the process is gone; `onExit` tells. */
  send(order: Order): void;
  /** Messages as they come, not checked yet. */
  onMessage(listener: (message: unknown) => void): void;
  /** A line that it wrote to its standard output or error. */
  onOutput(listener: (line: string) => void): void;
  /** Called exactly once, also when it never started. */
  onExit(listener: (exit: ProcessExit) => void): void;
  /** Ends it at once, with SIGKILL: what runs inside may be a native call that hears nothing else. */
  kill(): void;
}

/**
 * Starts the engine's process for an execution provider, whose libraries it must find: that is decided by its environment before its first instruction.
 * Telemetry of onnxruntime must be off in it from then on.
 */
export type SpawnEngine = (provider: ProviderName) => EngineProcess;
