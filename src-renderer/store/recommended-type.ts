import type { ModelType } from '#shared/domain/job.ts';
import type { Info } from '#shared/protocol/http.ts';

/** Memory that a model needs beside its weights, as a factor of them: the memory plans count activations and the system. */
const NEEDED_FACTOR = 2;

/** The model of higher quality if it fits into this computer's memory with room to spare, otherwise the compact one; null while there is no choice, or for the small demo models. */
export function recommendedType({ models, memory }: Pick<Info, 'models' | 'memory'>): ModelType | null {
  const choices = models.filter(({ active, bundled }) => active && !bundled);
  if (choices.length < 2) return null;
  const large = choices.find(({ model_type }) => model_type === 'int8');
  return large !== undefined && large.size_bytes * NEEDED_FACTOR <= memory.total_bytes ? 'int8' : 'uint4';
}
