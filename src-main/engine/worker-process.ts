import type { MonotonicClock } from '#main/lib/clock.ts';
import { createRpcClient, type RpcClient } from '#main/lib/rpc.ts';
import type { BindingInUse } from '#shared/domain/device.ts';
import { AppError, type WireError } from '#shared/protocol/errors.ts';
import type { EngineProcess, ProcessExit } from './engine-process.ts';
import { engineProtocol, type WorkerConfig } from './protocol.ts';

export interface WorkerLimits {
  /** A started process that sends no heartbeat for this long hangs. */
  heartbeatTimeoutMs: number;
  /** From the start of the process to its first message. */
  startTimeoutMs: number;
}

/** Why a process ended that should not have. */
export interface ProcessFault {
  code: 'engine_crashed' | 'engine_hung' | 'engine_out_of_memory' | 'engine_unavailable';
  /** What the process did, as the predicate of a sentence. */
  what: string;
}

export interface WorkerListener {
  onReady(): void;
  onBinding(binding: BindingInUse): void;
  /** The length of one tick: `heartbeatTimeoutMs / 4`. Counting ticks, not time, forgives a pause of this very process. */
  onTick(tickMs: number): void;
  /** Called exactly once. `planned` is not a fault. */
  onEnd(why: ProcessFault | 'planned', exit: ProcessExit, lastLines: readonly string[]): void;
}

const TICKS_PER_TIMEOUT = 4;
const KEPT_LINES = 20;

/** A worker process from its start to its exit: heartbeat, calls, last lines of output. It knows nothing of tasks. */
export class WorkerProcess {
  readonly #process: EngineProcess;
  readonly #limits: WorkerLimits;
  readonly #listener: WorkerListener;
  readonly #client: RpcClient<typeof engineProtocol>;
  readonly #lastLines: string[] = [];
  readonly #tickMs: number;
  readonly #stopTicks: () => void;
  /** Why we ended it; the exit is still to come. */
  #killedFor: ProcessFault | 'planned' | null = null;
  #silentTicks = 0;
  isReady = false;
  residentBytes = 0;

  constructor(process: EngineProcess, config: WorkerConfig, limits: WorkerLimits, clock: MonotonicClock, listener: WorkerListener) {
    this.#process = process;
    this.#limits = limits;
    this.#listener = listener;
    this.#tickMs = limits.heartbeatTimeoutMs / TICKS_PER_TIMEOUT;
    this.#client = createRpcClient(engineProtocol, (message) => process.send(message), {
      heartbeat: ({ residentBytes }) => {
        this.residentBytes = residentBytes;
      },
      fatal: (error) => this.kill(reportedFault(error)),
    });
    process.onMessage((message) => this.#receive(message));
    process.onOutput((line) => {
      this.#lastLines.push(line);
      if (this.#lastLines.length > KEPT_LINES) this.#lastLines.shift();
    });
    process.onExit((exit) => this.#onExit(exit));
    this.#stopTicks = this.#startTicks(clock);
    const onReady = () => {
      this.isReady = true;
      listener.onReady();
    };
    // its failure has no other effect: the end of a process is reported by onEnd
    this.#client.start('start', config, { onResult: (binding) => listener.onBinding(binding), onError: () => {} }, { ready: onReady });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  get isEnding(): boolean {
    return this.#killedFor !== null;
  }

  /** How to call it. At its end all open calls are answered by an error, in the same turn as `onEnd`. */
  get start(): RpcClient<typeof engineProtocol>['start'] {
    return this.#client.start;
  }

  kill(why: ProcessFault | 'planned'): void {
    if (this.#killedFor !== null) return;
    this.#killedFor = why;
    this.#stopTicks();
    this.#process.kill();
  }

  #startTicks(clock: MonotonicClock): () => void {
    const tick = () => {
      cancel = clock.schedule(tick, this.#tickMs);
      this.#tick();
    };
    let cancel = clock.schedule(tick, this.#tickMs);
    return () => cancel();
  }

  #tick(): void {
    this.#silentTicks++;
    const { heartbeatTimeoutMs, startTimeoutMs } = this.#limits;
    const timeoutMs = this.isReady ? heartbeatTimeoutMs : Math.max(startTimeoutMs, heartbeatTimeoutMs);
    if (this.#silentTicks * this.#tickMs > timeoutMs) this.kill({ code: 'engine_hung', what: 'stopped answering' });
    else this.#listener.onTick(this.#tickMs);
  }

  #receive(message: unknown): void {
    if (this.#killedFor !== null) return;
    try {
      this.#client.receive(message);
      this.#silentTicks = 0;
    } catch {
      // its memory is not to be trusted: both ends are one build
      this.kill({ code: 'engine_crashed', what: 'sent a message that breaks the protocol' });
    }
  }

  #onExit(exit: ProcessExit): void {
    this.#stopTicks();
    const why = this.#killedFor ?? diagnose(exit);
    this.#killedFor = why;
    this.#client.close(why === 'planned' ? new Error('the process was ended') : new AppError(why.code, `The engine process ${why.what}.`, {}));
    this.#listener.onEnd(why, exit, this.#lastLines);
  }
}

/** 128 + SIGKILL as shells and containers report it, 128 + SIGABRT as V8 leaves when its heap is full, and Windows' STATUS_NO_MEMORY. */
const OUT_OF_MEMORY_EXITS: ReadonlySet<number> = new Set([137, 134, 0xc0000017]);

/** What a system answers that has no room for another process. Source: https://man7.org/linux/man-pages/man2/fork.2.html */
const START_REFUSALS: Readonly<Record<string, ProcessFault>> = {
  ENOMEM: { code: 'engine_out_of_memory', what: 'could not be started: the system has no memory left for it (ENOMEM)' },
  EAGAIN: { code: 'engine_unavailable', what: 'could not be started: this user may start no more processes (EAGAIN, `ulimit -u`)' },
  EMFILE: { code: 'engine_unavailable', what: 'could not be started: this program has no file descriptors left (EMFILE, `ulimit -n`)' },
  ENFILE: { code: 'engine_unavailable', what: 'could not be started: the system has no file descriptors left (ENFILE)' },
};

function diagnose({ code, signal, error }: ProcessExit): ProcessFault {
  if (error !== undefined) {
    return START_REFUSALS[String(Reflect.get(error, 'code'))] ?? { code: 'engine_crashed', what: `could not be started (${error.message})` };
  }
  if (signal === 'SIGKILL' || signal === 'SIGABRT' || (code !== null && OUT_OF_MEMORY_EXITS.has(code))) {
    return { code: 'engine_out_of_memory', what: `was ended by ${signal ?? `exit code ${code}`}, as happens when memory runs out` };
  }
  return { code: 'engine_crashed', what: `ended with ${signal ?? `exit code ${code}`}` };
}

/** What a process says of itself. */
export function reportedFault(error: WireError): ProcessFault {
  return { code: error.code === 'engine_out_of_memory' ? 'engine_out_of_memory' : 'engine_crashed', what: `reported: ${error.message}` };
}
