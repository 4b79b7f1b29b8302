import type { Order } from '#main/engine/channel.ts';
import type { EngineProcess, ProcessExit } from '#main/engine/engine-process.ts';

/** An engine process that does nothing by itself: a test says its words for it and sees what it was sent. */
export class ScriptedProcess implements EngineProcess {
  readonly pid = 1;
  readonly orders: Order[] = [];
  wasKilled = false;
  #say: (message: unknown) => void = () => {};
  #exit: (exit: ProcessExit) => void = () => {};

  send(order: Order): void {
    this.orders.push(order);
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#say = listener;
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

  say(message: unknown): void {
    this.#say(message);
  }

  /** Ids of the tasks that it was given. */
  taskIds(): number[] {
    return this.orders.flatMap((order) => (order.type === 'generate' || order.type === 'upscale' ? [order.id] : []));
  }
}
