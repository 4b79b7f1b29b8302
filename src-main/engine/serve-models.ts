import { parentPort, workerData } from 'node:worker_threads';
import type { CancelSignal } from '#main/inference/cancel.ts';
import type { PipelineHooks } from '#main/inference/pipelines/hooks.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { createRpcServer } from '#main/lib/rpc.ts';
import { coalesceHooks } from './coalesce.ts';
import { toEngineFailure } from './engine-failure.ts';
import { ModelHost, type ModelLoaders } from './model-host.ts';
import { type EngineProgress, modelThreadProtocol, type WorkerConfig } from './protocol.ts';

/** The model thread: answers the calls of the main thread. Throws outside a worker thread. */
export function serveModels(loaders: ModelLoaders): void {
  if (parentPort === null) throw new Error('The model thread is started by the engine; it cannot be run by hand.');
  const port = parentPort;
  const config: WorkerConfig = workerData;
  const host = new ModelHost(loaders, config);
  const progressHook = (emit: (name: 'progress', data: EngineProgress) => void): PipelineHooks['onProgress'] => {
    return (stage, done, total) => emit('progress', { stage, done, total });
  };

  const server = createRpcServer(
    modelThreadProtocol,
    (message, transfer) => port.postMessage(message, transfer),
    {
      async generate({ request, cancelFlag }, { emit, transfer }) {
        const onProgress = progressHook(emit);
        const onPreview = (step: number, { width, height, data }: RgbImage) => emit('preview', { step, width, height, rgb: data });
        const hooks = coalesceHooks(request.previews ? { onProgress, onPreview } : { onProgress });
        const image = await host.generate(
          request,
          { ...hooks, onPlanned: (decision) => emit('planned', decision), onFallback: (sentence) => emit('fallback', sentence) },
          signalOf(cancelFlag),
        );
        // handed over, not copied: it can be 50 MB
        transfer.push(image.data.buffer, ...(image.alpha ? [image.alpha.buffer] : []));
        return image;
      },
      async upscale({ request, input, cancelFlag }, { emit, transfer }) {
        const hooks = { ...coalesceHooks({ onProgress: progressHook(emit) }), onFallback: (sentence: string) => emit('fallback', sentence) };
        const image = await host.upscale(request, input, hooks, signalOf(cancelFlag));
        transfer.push(image.data.buffer, ...(image.alpha ? [image.alpha.buffer] : []));
        return image;
      },
    },
    toEngineFailure,
  );
  port.on('message', (message) => server.receive(message));
}

function signalOf(cancelFlag: SharedArrayBuffer): CancelSignal {
  const flag = new Int32Array(cancelFlag);
  return {
    get cancelled() {
      return Atomics.load(flag, 0) !== 0;
    },
  };
}
