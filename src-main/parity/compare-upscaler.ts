import { compileUpscaler } from '#main/compiler/compile.ts';
import { openSafetensors } from '#main/compiler/safetensors/open-safetensors.ts';
import { readFloats } from '#main/compiler/safetensors/read-tensor.ts';
import { hasConvolutionKernels, loadConvolutions } from '#main/inference/convolutions/convolution-session.ts';
import { createSession } from '#main/inference/ort.ts';
import type { CompareRequest } from './compare-work.ts';
import { type Comparison, psnr } from './comparison.ts';

const GOLDEN_PREFIX = { SRVGGNetCompact: 'general', RRDBNet: 'plus' } as const;
const MIN_PSNR_DB = 45;

/** The upscaler `path` against `general` or `plus` of the goldens: its graph, and for `cpu-fast` the convolutions that the CPU runs in its place. */
export async function* compareUpscaler(request: CompareRequest): AsyncGenerator<Comparison> {
  const compiled = await compileUpscaler({ path: request.path, cacheDir: request.cacheDir, identity: request.path, target: request.target }, () => {});
  const { tensors } = await openSafetensors(request.expectedPath);
  const prefix = GOLDEN_PREFIX[compiled.architecture];
  const input = tensors.get(`${prefix}.input`);
  const output = tensors.get(`${prefix}.output`);
  if (!input || !output) throw new Error(`${request.expectedPath} holds no ${prefix}.input and ${prefix}.output for a ${compiled.architecture}`);
  const [planes, expected] = [await readFloats(input), await readFloats(output)];
  const comparison = (name: string, upscaled: ArrayLike<number>): Comparison => ({
    ...{ name: `${prefix}.output${name}`, measure: 'psnr', limit: MIN_PSNR_DB },
    value: psnr(upscaled, expected, 1),
  });

  const session = await createSession(compiled.graph, { threads: request.threads });
  const { upscaled } = await session.run({ image: { data: planes, shape: [1, ...input.shape] } });
  await session.release();
  yield comparison('', upscaled ?? []);

  if (compiled.convolutions === null || !hasConvolutionKernels()) return;
  const convolutions = await loadConvolutions(compiled.convolutions, request.threads);
  const [, height = 0, width = 0] = input.shape;
  const fill = (row: Float32Array, y: number): void => {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < 3; channel++) row[4 * x + channel] = planes[(channel * height + y) * width + x] ?? 0;
      row[4 * x + 3] = 0;
    }
  };
  yield comparison(' by convolutions', (await convolutions.run(width, height, fill, { cancelled: false })).planes);
  await convolutions.release();
}
