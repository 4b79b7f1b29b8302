import { setTimeout as sleep } from 'node:timers/promises';
import { serveModels } from '#main/engine/serve-models.ts';
import { AppError } from '#shared/protocol/errors.ts';

/** The model thread with loaders that compile and load nothing. The prompt selects the behaviour: `throw`, `exit`, `overflow`, or render an image. */

const graph = { onnxPath: 'graph.onnx', weightsDir: '.', memory: { loadedBytes: 1e9, runningBytes: { fixed: 0, perUnit: 0 } } };

serveModels({
  async compileCheckpoint({ identity, checkpointDir, cacheDir, target }, onProgress) {
    onProgress(1, 1);
    return {
      identity: [checkpointDir, identity, cacheDir, target].join(' '),
      architecture: 'z-image',
      parts: {
        textEncoder: { role: 'text', unit: 'promptTokens', graph },
        captionRefiner: { role: 'text', unit: 'promptTokens', graph },
        vaeEncoder: null,
        denoiser: { role: 'denoiser', unit: 'imageTokens', graph },
        vaeDecoder: { role: 'decoder', unit: 'latentPixels', graph },
      },
      tokenizerDir: '.',
      schedulerDir: '.',
      latentChannels: 16,
      vaeScale: 8,
      vaeScalingFactor: 1,
      vaeShiftFactor: 0,
      patchSize: 2,
      captionWidth: 64,
      rope: { theta: 256, axes: [8, 12, 12], lengths: [64, 64, 64] },
    };
  },
  compileVariant: () => Promise.reject(new Error('this model takes no LoRAs')),
  loadLora: () => Promise.reject(new Error('this model takes no LoRAs')),
  async compileUpscaler({ identity }, onProgress) {
    onProgress(1, 1);
    return { identity, architecture: 'SRVGGNetCompact', convolutions: null, graph, scale: 4, overlapPx: 16 };
  },
  async loadPipeline({ identity }, { threads }, onProgress) {
    onProgress(1, 2);
    onProgress(2, 2);
    return {
      follow: async () => {},
      async generate({ prompt, steps, width, height }, hooks, signal) {
        if (prompt === 'throw') throw new Error(`${identity} on ${threads} threads`);
        if (prompt === 'exit') process.exit(3);
        if (prompt === 'overflow') throw new RangeError('Array buffer allocation failed');
        for (let step = 1; step <= steps; step++) {
          // as blocking as a run of onnxruntime: no message is heard
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
          if (signal.cancelled) throw new AppError('cancelled', 'The task was cancelled.', {});
          hooks.onPreview?.(step, { width: 1, height: 1, data: Uint8Array.of(step, step, step) });
          hooks.onProgress('generating', step, steps);
        }
        return { width, height, data: new Uint8Array(width * height * 3).fill(7) };
      },
    };
  },
  freeMemory: async () => ({ ramBytes: 16e9, cardBytes: null }),
  async loadUpscaler(_compiled, _options, onProgress) {
    onProgress(1, 1);
    return {
      largestTilePixels: 256 * 256,
      async upscale({ width, height, data }, hooks, signal) {
        await sleep(1);
        if (signal.cancelled) throw new AppError('cancelled', 'The task was cancelled.', {});
        hooks.onProgress('upscaling', 1, 1);
        return { width: width * 4, height: height * 4, data: new Uint8Array(data.length * 16).fill(data[0] ?? 0) };
      },
    };
  },
});
