import type { Info } from '#shared/protocol/http.ts';
import { useStudio } from '../components/use-studio.ts';

/** The checkpoint that would run; undefined if none of this type is installed or the server has not answered yet. */
export function useChosenModel(): Info['models'][number] | undefined {
  return useStudio(({ info, draft }) => info?.models.find((one) => one.model_type === draft.modelType && one.active));
}
