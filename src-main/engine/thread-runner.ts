import { Worker } from 'node:worker_threads';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { fromWireError, type WireError } from '#shared/protocol/errors.ts';
import type { WorkerConfig } from './channel.ts';
import type { ModelRunner, RunHooks } from './model-runner.ts';
import type { ThreadData, ThreadEvent, ThreadOrder } from './thread-channel.ts';

/**
 * Runs models in a thread of their own, since a run of onnxruntime blocks the thread that it is called from. The thread is never terminated from outside:
 * onnxruntime-node 1.30 aborts the whole process when that happens during a run. To be rid of it, end the process.
 */
export function createThreadRunner(entry: string, config: WorkerConfig, onDeath: (error: WireError) => void): ModelRunner {
  const cancelFlag = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const workerData: ThreadData = { config, cancelFlag };
  const thread = new Worker(entry, { workerData, execArgv: [] });
  const flag = new Int32Array(cancelFlag);
  let running: { hooks: RunHooks; resolve(picture: RgbImage): void; reject(error: Error): void } | null = null;

  const finish = () => {
    const ended = running;
    running = null;
    return ended;
  };

  thread.on('message', (event: ThreadEvent) => {
    if (event.type === 'progress') running?.hooks.onProgress(event.stage, event.done, event.total);
    else if (event.type === 'planned') running?.hooks.onPlanned?.(event.decision);
    else if (event.type === 'preview') running?.hooks.onPreview?.(event.step, event.picture);
    else if (event.type === 'picture') finish()?.resolve(event.picture);
    else finish()?.reject(fromWireError(event.error));
  });
  thread.on('error', (error) => {
    const isMemory = error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    onDeath({ code: isMemory ? 'engine_out_of_memory' : 'engine_crashed', message: `the model thread ended: ${message}`, data: {} });
  });
  thread.on('exit', (code) => onDeath({ code: 'engine_crashed', message: `the model thread ended with exit code ${code}`, data: {} }));

  const run = (id: number, order: ThreadOrder, hooks: RunHooks, signal: AbortSignal, transferred: readonly ArrayBuffer[] = []): Promise<RgbImage> => {
    if (running !== null) return Promise.reject(new Error('The model thread runs one order at a time, and one is running.'));
    const onAbort = () => Atomics.store(flag, 0, id);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    return new Promise<RgbImage>((resolve, reject) => {
      running = { hooks, resolve, reject };
      thread.postMessage(order, transferred);
    }).finally(() => signal.removeEventListener('abort', onAbort));
  };

  return {
    generate: (order, hooks, signal) => run(order.id, order, hooks, signal),
    upscale: (order, input, hooks, signal) => run(order.id, { type: 'enlarge', order, input }, hooks, signal, [input.data.buffer]),
  };
}
