import { parentPort, workerData } from 'node:worker_threads';
import type { MemoryDecision } from '#main/inference/memory-plan.ts';
import type { PipelineHooks } from '#main/inference/pipelines/hooks.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { coalesceHooks } from './coalesce.ts';
import { toEngineFailure } from './engine-failure.ts';
import { ModelHost, type ModelLoaders } from './model-host.ts';
import type { ThreadData, ThreadEvent, ThreadOrder } from './thread-channel.ts';

/** The model thread: runs the orders of the main thread, one after the other. Throws outside a worker thread. */
export function serveModels(loaders: ModelLoaders): void {
  if (parentPort === null) throw new Error('The model thread is started by the engine; it cannot be run by hand.');
  const port = parentPort;
  const { config, cancelFlag }: ThreadData = workerData;
  const flag = new Int32Array(cancelFlag);
  const host = new ModelHost(loaders, config);
  const send = (event: ThreadEvent) => port.postMessage(event);
  const hooks: PipelineHooks = {
    onProgress: (stage, done, total) => send({ type: 'progress', stage, done, total }),
  };
  const onPreview = (step: number, picture: RgbImage) => send({ type: 'preview', step, picture });

  const run = (message: ThreadOrder): Promise<RgbImage> => {
    const order = message.type === 'generate' ? message : message.order;
    const signal = {
      get cancelled() {
        return Atomics.load(flag, 0) === order.id;
      },
    };
    if (message.type === 'enlarge') return host.upscale(message.order, message.input, coalesceHooks(hooks), signal);
    const onPlanned = (decision: MemoryDecision) => send({ type: 'planned', decision });
    return host.generate(message, { ...coalesceHooks(message.previews ? { ...hooks, onPreview } : hooks), onPlanned }, signal);
  };

  port.on('message', (message: ThreadOrder) => {
    run(message).then(
      // handed over, not copied: it can be 50 MB
      (picture) => port.postMessage({ type: 'picture', picture } satisfies ThreadEvent, [picture.data.buffer]),
      (thrown: unknown) => send({ type: 'failed', error: toEngineFailure(thrown) }),
    );
  });
}
