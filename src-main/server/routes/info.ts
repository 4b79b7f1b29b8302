import { freemem, totalmem } from 'node:os';
import type { EngineStatus } from '#main/engine/engine.ts';
import type { Jobs } from '#main/jobs/jobs.ts';
import { orAppError } from '#main/lib/or-app-error.ts';
import { diskSpaceOf } from '#main/lib/write-file.ts';
import type { ModelRegistry } from '#main/models/checkpoint.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { type Info, infoSchema, THUMBNAIL_WIDTHS } from '#shared/protocol/http.ts';
import { MAX_INPUT_PIXELS, MAX_PICTURE_PIXELS, SIZE_UNIT_PX } from '#shared/protocol/messages.ts';
import { accessRequestOf } from '../access/access-hook.ts';
import { isFromThisMachine } from '../access/access-rules.ts';
import { type App, errorAnswers } from '../fastify-app.ts';
import { MAX_FRAME_BYTES } from '../socket.ts';
import { MAX_UPLOAD_BYTES } from '../upload-gate.ts';
import { listCheckpoints } from './models.ts';

export interface InfoSources {
  version: string;
  onnxruntimeVersion: string;
  open: boolean;
  jobs: Jobs;
  registry: ModelRegistry;
  engineStatus: () => EngineStatus;
}

export function registerInfo(app: App, { version, onnxruntimeVersion, open, jobs, registry, engineStatus }: InfoSources): void {
  const schema = { tags: ['server'], summary: 'Version, checkpoints, device, queue, limits and memory', response: { 200: infoSchema, ...errorAnswers } };
  app.get('/api/info', { schema }, async (request): Promise<Info> => {
    const { state, device, deviceReason, accuracy, memory, binding, residentBytes, restarts, devices } = engineStatus();
    const [models, upscaler, disk] = await Promise.all([listCheckpoints(registry), upscalerOf(registry), diskOf(jobs.settings().outputs_folder)]);
    return {
      version,
      models,
      upscaler,
      engine: {
        state,
        device,
        device_reason: deviceReason,
        accuracy,
        memory: memoryInfo(memory),
        onnxruntime: { version: onnxruntimeVersion, binding: binding?.binding ?? null, binding_reason: binding?.reason ?? null },
        resident_bytes: residentBytes,
        restarts,
        devices: devices.map((one) => ({ device: one.device, device_reason: one.deviceReason, state: one.state, resident_bytes: one.residentBytes })),
      },
      queue: jobs.summary(),
      limits: {
        size_unit_px: SIZE_UNIT_PX,
        max_pixels: MAX_PICTURE_PIXELS,
        max_input_pixels: MAX_INPUT_PIXELS,
        max_frame_bytes: MAX_FRAME_BYTES,
        max_upload_bytes: MAX_UPLOAD_BYTES,
        thumbnail_widths: [...THUMBNAIL_WIDTHS],
      },
      memory: { total_bytes: totalmem(), free_bytes: freemem(), server_bytes: process.memoryUsage.rss() },
      disk,
      access: { from_this_machine: isFromThisMachine(accessRequestOf(request.raw)), open },
    };
  });
}

/** Null if none can run; each job that needs it says why. */
async function upscalerOf(registry: ModelRegistry): Promise<Info['upscaler']> {
  const found = await orAppError(registry.upscaler());
  return found instanceof AppError ? null : { name: found.name, license: found.license };
}

function memoryInfo({ choice, steppedDown, planned }: EngineStatus['memory']): Info['engine']['memory'] {
  const plannedInfo = planned === null ? null : { plan: planned.plan, need_bytes: Math.round(planned.needBytes), free_bytes: planned.freeBytes };
  return { choice, stepped_down: steppedDown, planned: plannedInfo };
}

async function diskOf(folder: string): Promise<Info['disk']> {
  // a folder that is gone, or on a network that does not answer: the next write there reports the error
  const space = await diskSpaceOf(folder).catch(() => null);
  return space === null ? null : { total_bytes: space.totalBytes, free_bytes: space.freeBytes };
}
