import { constants, setPriority } from 'node:os';
import { compileCheckpoint, compileUpscaler } from '#main/compiler/compile.ts';
import { loadTextToImage } from '#main/inference/pipelines/text-to-image.ts';
import { loadUpscaler } from '#main/inference/pipelines/upscale.ts';
import { serveModels } from './serve-models.ts';

// before any thread of ONNX Runtime exists: on Linux each takes over the priority of the thread that starts it. It costs nothing on an idle machine, and
// while models keep every core busy the server, the window and the user's other programs stay quick
setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

serveModels({ compileCheckpoint, compileUpscaler, loadTextToImage, loadUpscaler });
