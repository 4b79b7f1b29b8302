import { compileCheckpoint, compileUpscaler } from '#main/compiler/compile.ts';
import { loadTextToImage } from '#main/inference/pipelines/text-to-image.ts';
import { loadUpscaler } from '#main/inference/pipelines/upscale.ts';
import { serveModels } from './serve-models.ts';

serveModels({ compileCheckpoint, compileUpscaler, loadTextToImage, loadUpscaler });
