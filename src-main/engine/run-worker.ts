import type { CudaChoices } from '#main/inference/cuda-options.ts';
import { providerNamed } from '#main/inference/devices.ts';
import { encodePng } from '#main/lib/png.ts';
import { decodePng } from '#main/lib/read-png.ts';
import type { RgbImage } from '#main/lib/rgb-image.ts';
import { createRpcServer, type RpcContext, type RpcParams } from '#main/lib/rpc.ts';
import { keptElsewhere, writeFileDurably } from '#main/lib/write-file.ts';
import { imageTexts } from '#main/provenance/image-texts.ts';
import { pixelHash } from '#main/provenance/pixel-hash.ts';
import { type BindingInUse, deviceParts, type OrtBinding } from '#shared/domain/device.ts';
import { appError, type WireError } from '#shared/protocol/errors.ts';
import type { ProgressStage } from '#shared/protocol/messages.ts';
import { completeRecipe } from './complete-recipe.ts';
import { toEngineFailure } from './engine-failure.ts';
import { loadInputs } from './load-inputs.ts';
import type { ModelRunner } from './model-runner.ts';
import type { ParentPort } from './parent-port.ts';
import { engineProtocol, type GenerateRequest, type ProbeResult, type UpscaleRequest, type WorkerConfig, type WorkerReport } from './protocol.ts';
import { StageClock } from './stage-clock.ts';

/** Makes the part that runs models. `onDeath` is called when it is gone, and the process with it. */
export type CreateRunner = (config: WorkerConfig, onDeath: (error: WireError) => void) => ModelRunner;

type Context = RpcContext<typeof engineProtocol, 'generate' | 'upscale'>;
type OnProgress = (stage: ProgressStage, done: number, total: number) => void;

const HEARTBEAT_MS = 500;

/**
 * The worker process: answers the calls of the port, has their models run, encodes and writes the images, and sends heartbeats from the main thread, which
 * nothing may block. It ends when the parent is gone or ends it; signals for the parent's group are left to the parent.
 */
export function runWorker(port: ParentPort, createRunner: CreateRunner, findBinding: (wanted: OrtBinding) => Promise<BindingInUse>): void {
  let started: { config: WorkerConfig; runner: ModelRunner } | null = null;

  const server = createRpcServer(
    engineProtocol,
    (message) => port.send(message),
    {
      start(config, { emit }) {
        started = { config, runner: createRunner(config, sendFatal) };
        emit('ready', null);
        return findBinding(config.binding ?? 'auto');
      },
      generate(request, context) {
        const { config, runner } = assertStarted();
        return runTask(request, config, context, async ({ onProgress }) => {
          const onPreview = (step: number, { width, height, data }: RgbImage) => context.emit('preview', { step, width, height, rgb: data });
          const onFallback = context.emit.bind(null, 'fallback');
          const hooks = { onProgress, onPlanned: context.emit.bind(null, 'planned'), onFallback, ...(request.previews ? { onPreview } : {}) };
          const { files, ...task } = request;
          const withInputs = files === undefined ? task : { ...task, inputs: await loadInputs(files) };
          return { image: await runner.generate(withInputs, hooks, context.signal), originalSha256: null };
        });
      },
      upscale(request, context) {
        const { config, runner } = assertStarted();
        const where = request.onCpu ? { device: 'cpu' as const, deviceReason: 'the upscaler failed on the GPU' } : config;
        return runTask(request, where, context, async ({ clock, onProgress }) => {
          const input = await decodePng(request.inputPath);
          clock.mark('loading');
          const originalSha256 = await pixelHash(input);
          const image = await runner.upscale(request, input, { onProgress, onFallback: context.emit.bind(null, 'fallback') }, context.signal);
          return { image, originalSha256 };
        });
      },
      probe,
    },
    toEngineFailure,
  );

  function sendFatal(error: WireError): void {
    server.announce('fatal', error);
  }

  function assertStarted() {
    if (started === null) throw new Error('A task came before the start.');
    return started;
  }

  // not process.exit: it would wait for a native call in the model thread, and then abort
  port.onGone(() => process.kill(process.pid, 'SIGKILL'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${error.stack ?? error.message}\n`);
    sendFatal(toEngineFailure(error));
  });
  setInterval(() => server.announce('heartbeat', { residentBytes: process.memoryUsage.rss() }), HEARTBEAT_MS);
  port.onMessage((message) => server.receive(message));
}

async function runTask(
  { outputPath, sparePath, provenance, accuracy }: GenerateRequest | UpscaleRequest,
  { device, deviceReason }: Pick<WorkerConfig, 'device' | 'deviceReason'>,
  { emit, signal }: Pick<Context, 'signal'> & { emit: RpcContext<typeof engineProtocol, 'upscale'>['emit'] },
  runModel: (parts: { clock: StageClock; onProgress: OnProgress }) => Promise<{ image: RgbImage; originalSha256: string | null }>,
): Promise<WorkerReport> {
  const clock = new StageClock();
  const onProgress: OnProgress = (stage, done, total) => {
    clock.mark(stage);
    emit('progress', { stage, done, total });
  };
  const { image, originalSha256 } = await runModel({ clock, onProgress });
  emit('modelDone', null);
  assertNotAborted(signal);
  const { width, height } = image;
  const made = { device, deviceReason, accuracy, width, height, pixelsSha256: await pixelHash(image) };
  const texts = provenance === null ? [] : imageTexts(completeRecipe(provenance.recipe, made, originalSha256), provenance.isMarked);
  const png = await encodePng(image, texts);
  assertNotAborted(signal);
  onProgress('saving', 1, 2);
  await writeFileDurably(outputPath, png).catch(async (error: unknown) => {
    throw sparePath === undefined ? error : await keptElsewhere(error, sparePath, (path) => writeFileDurably(path, png));
  });
  onProgress('saving', 2, 2);
  return { stagesMs: clock.stagesMs, ...made };
}

function assertNotAborted(signal: AbortSignal): void {
  if (signal.aborted) throw appError('cancelled', {});
}

/** What an engine may set, set. */
const PROBED_WITH: CudaChoices = { arenaBytes: 1e9, isTight: true, isExact: false };

/** ONNX Runtime is loaded into this thread for it: the process has no other task, and may die of it. */
async function probe(
  { device, precision, threads, binding }: RpcParams<typeof engineProtocol, 'probe'>,
  { emit }: RpcContext<typeof engineProtocol, 'probe'>,
): Promise<ProbeResult> {
  const { probeDevice } = await import('./probe.ts');
  const { provider, card } = deviceParts(device);
  const { ortName, tolerance } = providerNamed(provider);
  const session = { provider: ortName, card, threads, binding, cuda: PROBED_WITH };
  return probeDevice({ session, precision, tolerance }, (operator) => emit('operator', operator));
}
