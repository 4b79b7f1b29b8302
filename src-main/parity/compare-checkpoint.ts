import { compileCheckpoint } from '#main/compiler/compile.ts';
import { openSafetensors } from '#main/compiler/safetensors/open-safetensors.ts';
import type { CompiledCheckpoint } from '#main/lib/compiled.ts';
import { compareKlein } from './compare-klein.ts';
import { type Compare, type CompareRequest, compileOptions, type ParityTarget } from './compare-work.ts';
import { compareZImage } from './compare-z-image.ts';
import { type Comparison, EXACT_TENSOR_LIMIT } from './comparison.ts';

/** What one forward may differ by; with int8 activations the difference is only printed. */
const TENSOR_LIMIT: Record<ParityTarget, number | null> = {
  'cpu-exact': EXACT_TENSOR_LIMIT,
  'cpu-fast': null,
  'emulated-fp16': 2e-3,
  'emulated-bf16': 3e-2,
};
const IMAGE_LIMIT_DB: Record<ParityTarget, number> = { 'cpu-exact': 45, 'cpu-fast': 30, 'emulated-fp16': 45, 'emulated-bf16': 30 };

const comparisons: { [Name in CompiledCheckpoint['architecture']]: Compare<Extract<CompiledCheckpoint, { architecture: Name }>> } = {
  'z-image': compareZImage,
  klein: compareKlein,
};

/** The checkpoint `path` against its goldens, one comparison a tensor, in the goldens' order. */
export async function* compareCheckpoint(request: CompareRequest): AsyncGenerator<Comparison> {
  const compiled = await compileCheckpoint(compileOptions(request), () => {});
  const goldens = await openSafetensors(request.expectedPath);
  // the table pairs each architecture with its own type, which a lookup by a union loses
  const compare = comparisons[compiled.architecture] as Compare<CompiledCheckpoint>;
  yield* compare({ request, compiled, goldens, tensorLimit: TENSOR_LIMIT[request.target], imageLimitDb: IMAGE_LIMIT_DB[request.target] });
}
