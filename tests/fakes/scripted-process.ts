import type { EngineProcess, ProcessExit } from '#main/engine/engine-process.ts';
import type { engineProtocol, GenerateRequest, UpscaleRequest, WorkerConfig } from '#main/engine/protocol.ts';
import type { RpcParams, RpcRequest } from '#main/lib/rpc.ts';

/** A message to the process: a call by its method, with the params that a test looks at. */
type Order =
  | { type: 'start'; config: WorkerConfig }
  | ({ type: 'generate' } & GenerateRequest)
  | ({ type: 'upscale' } & UpscaleRequest)
  | ({ type: 'probe' } & RpcParams<typeof engineProtocol, 'probe'>)
  | { type: 'cancel'; id: number };

/** An engine process that only does what a test scripts: the test sends its messages, with the ids of tasks, and sees what it received. */
export class ScriptedProcess implements EngineProcess {
  readonly pid = 1;
  readonly orders: Order[] = [];
  wasKilled = false;
  /** Ids of tasks by the ids of their calls. */
  readonly #tasks = new Map<number, number>();
  #receive: (message: unknown) => void = () => {};
  #exit: (exit: ProcessExit) => void = () => {};

  send(message: RpcRequest): void {
    if (message.type === 'cancel') {
      this.orders.push({ type: 'cancel', id: this.#tasks.get(message.id) ?? 0 });
      return;
    }
    if (message.method === 'start') this.orders.push({ type: 'start', config: message.params as WorkerConfig });
    else if (message.method === 'probe') this.orders.push({ type: 'probe', ...(message.params as RpcParams<typeof engineProtocol, 'probe'>) });
    else {
      const request = message.params as GenerateRequest & UpscaleRequest;
      this.#tasks.set(message.id, request.id);
      this.orders.push({ type: message.method === 'generate' ? 'generate' : 'upscale', ...request });
    }
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#receive = listener;
  }

  onOutput(): void {}

  onExit(listener: (exit: ProcessExit) => void): void {
    this.#exit = listener;
  }

  /** The exit follows later, as with a real process. */
  kill(): void {
    this.wasKilled = true;
    setImmediate(() => this.#exit({ code: null, signal: 'SIGKILL' }));
  }

  /** Of a task: `progress`, `preview`, `planned`, `model_done`, `done` or `failed`. Of the process: `ready`, `bound`, `heartbeat`, `fatal`. Anything else is sent unchanged. */
  say(message: unknown): void {
    this.#receive(this.#toWire(message));
  }

  /** Ids of the tasks that it was given. */
  taskIds(): number[] {
    return this.orders.flatMap((order) => (order.type === 'generate' || order.type === 'upscale' ? [order.id] : []));
  }

  #toWire(message: unknown): unknown {
    if (typeof message !== 'object' || message === null) return message;
    const { type, id: taskId, ...rest } = message as { type: string; id?: number; [name: string]: unknown };
    const id = [...this.#tasks].find(([, task]) => task === taskId)?.[0];
    if (type === 'ready') return { type: 'event', id: 1, name: 'ready', data: null };
    if (type === 'bound') return { type: 'result', id: 1, result: rest['inUse'] };
    if (type === 'heartbeat') return { type: 'announcement', name: 'heartbeat', data: rest };
    if (type === 'fatal') return { type: 'announcement', name: 'fatal', data: rest['error'] };
    if (type === 'progress' || type === 'preview') return { type: 'event', id, name: type, data: rest };
    if (type === 'planned') return { type: 'event', id, name: 'planned', data: rest['decision'] };
    if (type === 'model_done') return { type: 'event', id, name: 'modelDone', data: null };
    if (type === 'probing') return { type: 'event', id: 1, name: 'operator', data: rest['operator'] };
    if (type === 'probed') return { type: 'result', id: 1, result: rest['result'] };
    if (type === 'refused') return { type: 'error', id: 1, error: rest['error'] };
    if (type === 'done') return { type: 'result', id, result: rest['report'] };
    return type === 'failed' ? { type: 'error', id, error: rest['error'] } : message;
  }
}
