import { workerData } from 'node:worker_threads';
import { compileCheckpoint, compileUpscaler, compileVariant } from '#main/compiler/compile.ts';
import { loadLora } from '#main/compiler/lora/load-lora.ts';
import { loadPipeline } from '#main/inference/load-pipeline.ts';
import { loadUpscaler } from '#main/inference/pipelines/upscale.ts';
import { freeMemory } from './free-memory.ts';
import { lowerPriority } from './lower-priority.ts';
import type { WorkerConfig } from './protocol.ts';
import { serveModels } from './serve-models.ts';

const config: WorkerConfig = workerData;
// before ONNX Runtime starts threads, which inherit it
if (config.priority === 'low') await lowerPriority();

serveModels({ compileCheckpoint, compileUpscaler, compileVariant, loadLora, loadPipeline, loadUpscaler, freeMemory });
