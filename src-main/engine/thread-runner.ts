import { Worker } from 'node:worker_threads';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { createRpcClient } from '#main/lib/rpc.ts';
import type { WireError } from '#shared/protocol/errors.ts';
import type { ModelRunner, RunHooks } from './model-runner.ts';
import { type EnginePreview, type EngineProgress, modelThreadProtocol, type WorkerConfig } from './protocol.ts';

/**
 * Runs models in a thread of their own, since a run of onnxruntime blocks the thread that it is called from. The thread is never terminated from outside:
 * onnxruntime-node 1.30 aborts the whole process when that happens during a run. To be rid of it, end the process.
 */
export function createThreadRunner(entry: string, config: WorkerConfig, onDeath: (error: WireError) => void): ModelRunner {
  const thread = new Worker(entry, { workerData: config, execArgv: [] });
  const client = createRpcClient(modelThreadProtocol, (message, transfer) => thread.postMessage(message, transfer), {});
  thread.on('message', (message) => client.receive(message));
  thread.on('error', (error) => {
    const isMemory = error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    onDeath({ code: isMemory ? 'engine_out_of_memory' : 'engine_crashed', message: `the model thread ended: ${message}`, data: {} });
  });
  thread.on('exit', (code) => onDeath({ code: 'engine_crashed', message: `the model thread ended with exit code ${code}`, data: {} }));

  async function run(signal: AbortSignal, start: (cancelFlag: SharedArrayBuffer) => Promise<RgbImage>): Promise<RgbImage> {
    const cancelFlag = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    const onAbort = () => Atomics.store(new Int32Array(cancelFlag), 0, 1);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await start(cancelFlag);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  return {
    generate: (request, hooks, signal) => run(signal, (cancelFlag) => client.call('generate', { request, cancelFlag }, listenersFor(hooks))),
    upscale: (request, input, hooks, signal) =>
      run(signal, (cancelFlag) => client.call('upscale', { request, input, cancelFlag }, listenersFor(hooks), [input.data.buffer])),
  };
}

function listenersFor({ onProgress, onPreview, onPlanned, onFallback }: RunHooks) {
  return {
    progress: ({ stage, done, total }: EngineProgress) => onProgress(stage, done, total),
    ...(onPreview && { preview: ({ step, width, height, rgb }: EnginePreview) => onPreview(step, { width, height, data: rgb }) }),
    ...(onPlanned && { planned: onPlanned }),
    ...(onFallback && { fallback: onFallback }),
  };
}
