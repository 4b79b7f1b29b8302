import { compileCheckpoint, compileUpscaler } from '#main/compiler/compile.ts';
import { loadTextToImage } from '#main/inference/pipelines/text-to-image.ts';
import { loadUpscaler } from '#main/inference/pipelines/upscale.ts';
import { freeMemory } from './free-memory.ts';
import { lowerPriority } from './lower-priority.ts';
import { serveModels } from './serve-models.ts';

await lowerPriority();

serveModels({ compileCheckpoint, compileUpscaler, loadTextToImage, loadUpscaler, freeMemory });
