import { compileUpscaler } from '#main/compiler/compile.ts';
import { openSafetensors } from '#main/compiler/safetensors/open-safetensors.ts';
import { readFloats } from '#main/compiler/safetensors/read-tensor.ts';
import { createSession } from '#main/inference/ort.ts';
import type { CompareRequest } from './compare-checkpoint.ts';
import { type Comparison, psnr } from './comparison.ts';

const GOLDEN_PREFIX = { SRVGGNetCompact: 'general', RRDBNet: 'plus' } as const;
const MIN_PSNR_DB = 45;

/** The upscaler `path` against `general` or `plus` of the goldens. */
export async function* compareUpscaler(request: CompareRequest): AsyncGenerator<Comparison> {
  const compiled = await compileUpscaler({ path: request.path, cacheDir: request.cacheDir, identity: request.path, target: request.target }, () => {});
  const { tensors } = await openSafetensors(request.expectedPath);
  const prefix = GOLDEN_PREFIX[compiled.architecture];
  const input = tensors.get(`${prefix}.input`);
  const output = tensors.get(`${prefix}.output`);
  if (!input || !output) throw new Error(`${request.expectedPath} holds no ${prefix}.input and ${prefix}.output for a ${compiled.architecture}`);
  const session = await createSession(compiled.graph, { threads: request.threads });
  const { upscaled } = await session.run({ picture: { data: await readFloats(input), shape: [1, ...input.shape] } });
  yield { name: `${prefix}.output`, measure: 'psnr', value: psnr(upscaled ?? [], await readFloats(output), 1), limit: MIN_PSNR_DB };
  await session.release();
}
