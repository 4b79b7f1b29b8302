import type { CudaChoices } from '#main/inference/cuda-options.ts';
import { providerNamed } from '#main/inference/devices.ts';
import type { MemoryDecision } from '#main/inference/memory-plan.ts';
import type { PipelineHooks } from '#main/inference/pipelines/hooks.ts';
import { encodePng } from '#main/lib/png.ts';
import { decodePng } from '#main/lib/read-png.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { writeFileDurably } from '#main/lib/write-file.ts';
import { type BindingInUse, deviceParts, type OrtBinding } from '#shared/domain/device.ts';
import { appError, type WireError } from '#shared/protocol/errors.ts';
import type { ProgressStage } from '#shared/protocol/messages.ts';
import { orderSchema, type ProbeOrder, type TaskOrder, type WorkerConfig } from './channel.ts';
import { toEngineFailure } from './engine-failure.ts';
import type { ModelRunner } from './model-runner.ts';
import type { ParentPort } from './parent-port.ts';
import { StageClock } from './stage-clock.ts';

/** Makes the part that runs models. `onDeath` tells that it is gone, and the process with it. */
export type CreateRunner = (config: WorkerConfig, onDeath: (error: WireError) => void) => ModelRunner;

const HEARTBEAT_MS = 500;

/**
 * The engine's process: takes orders from the port, has their models run, packs and writes the pictures, and beats its heart from the main thread, which
 * nothing may block. It ends when the parent is gone or ends it; signals meant for the parent's group it leaves to the parent.
 */
export function runWorker(port: ParentPort, createRunner: CreateRunner, findBinding: (wanted: OrtBinding) => Promise<BindingInUse>): void {
  const controllers = new Map<number, AbortController>();
  let started: { config: WorkerConfig; runner: ModelRunner } | null = null;
  const sendFatal = (error: WireError) => port.send({ type: 'fatal', error });

  // not process.exit: it would wait for a native call in the model thread, and then abort
  port.onGone(() => process.kill(process.pid, 'SIGKILL'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${error.stack ?? error.message}\n`);
    sendFatal(toEngineFailure(error));
  });
  setInterval(() => port.send({ type: 'heartbeat', residentBytes: process.memoryUsage.rss() }), HEARTBEAT_MS);

  const serve = async (order: TaskOrder, controller: AbortController) => {
    if (started === null) throw new Error(`Order ${order.type} came before the start.`);
    try {
      await runTask(port, started.config, started.runner, order, controller.signal);
    } catch (thrown) {
      port.send({ type: 'failed', id: order.id, error: toEngineFailure(thrown) });
    } finally {
      controllers.delete(order.id);
    }
  };

  port.onMessage((message) => {
    const order = orderSchema.parse(message);
    if (order.type === 'start') {
      started = { config: order.config, runner: createRunner(order.config, sendFatal) };
      port.send({ type: 'ready' });
      void findBinding(order.config.binding ?? 'auto').then((inUse) => port.send({ type: 'bound', inUse }));
    } else if (order.type === 'probe') {
      void probe(port, order);
    } else if (order.type === 'cancel') {
      controllers.get(order.id)?.abort();
    } else {
      const controller = new AbortController();
      controllers.set(order.id, controller);
      void serve(order, controller);
    }
  });
}

/** What an engine may set, set. */
const PROBED_WITH: CudaChoices = { arenaBytes: 1e9, isTight: true, isExact: false };

/** ONNX Runtime is loaded into this thread for it: the process has no other task, and may die of it. */
async function probe(port: ParentPort, { device, threads, binding }: ProbeOrder): Promise<void> {
  const { probeDevice } = await import('./probe.ts');
  const { provider, card } = deviceParts(device);
  try {
    port.send({ type: 'probed', result: await probeDevice({ provider: providerNamed(provider).ortName, card, threads, binding, cuda: PROBED_WITH }) });
  } catch (thrown) {
    port.send({ type: 'probed', result: { refusal: toEngineFailure(thrown).message } });
  }
}

async function runTask(port: ParentPort, config: WorkerConfig, runner: ModelRunner, order: TaskOrder, signal: AbortSignal): Promise<void> {
  const { id } = order;
  const clock = new StageClock();
  const onProgress = (stage: ProgressStage, done: number, total: number) => {
    clock.mark(stage);
    port.send({ type: 'progress', id, stage, done, total });
  };
  const picture = await runModel(runner, order, clock, onProgress, port, signal);
  port.send({ type: 'model_done', id });
  assertGoesOn(signal);
  const png = await encodePng(picture, order.texts);
  assertGoesOn(signal);
  onProgress('saving', 1, 2);
  await writeFileDurably(order.outputPath, png);
  onProgress('saving', 2, 2);
  const { width, height } = picture;
  const { device, deviceReason } =
    order.type === 'upscale' && order.onCpu ? { device: 'cpu' as const, deviceReason: 'the upscaler failed on the GPU' } : config;
  port.send({ type: 'done', id, report: { stagesMs: clock.stagesMs, device, deviceReason, accuracy: order.accuracy, width, height } });
}

async function runModel(
  runner: ModelRunner,
  order: TaskOrder,
  clock: StageClock,
  onProgress: PipelineHooks['onProgress'],
  port: ParentPort,
  signal: AbortSignal,
): Promise<RgbImage> {
  if (order.type === 'upscale') {
    const input = await decodePng(order.inputPath);
    clock.mark('loading');
    return runner.upscale(order, input, { onProgress }, signal);
  }
  const onPreview = (step: number, { width, height, data }: RgbImage) => port.send({ type: 'preview', id: order.id, step, width, height, rgb: data });
  const onPlanned = (decision: MemoryDecision) => port.send({ type: 'planned', id: order.id, decision });
  return runner.generate(order, { onProgress, onPlanned, ...(order.previews ? { onPreview } : {}) }, signal);
}

function assertGoesOn(signal: AbortSignal): void {
  if (signal.aborted) throw appError('cancelled', {});
}
