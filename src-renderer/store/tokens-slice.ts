import type { StateCreator } from 'zustand/vanilla';
import { limits } from './draft.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { StudioDeps, StudioState, TokensSlice } from './state.ts';

type Needs = TokensSlice & Pick<StudioState, 'draft' | 'notifyFailure'>;

export function createTokensSlice({ http }: Pick<StudioDeps, 'http'>): StateCreator<Needs, [], [], TokensSlice> {
  return (set, get) => ({
    tokens: null,
    countTokens: oneAtATime(async () => {
      const { prompt, modelType } = get().draft;
      if (prompt === '' || prompt.length > limits.promptCharacters) return set({ tokens: null });
      try {
        set({ tokens: { prompt, ...(await http.tokens(prompt, modelType)) } });
      } catch (failure) {
        set({ tokens: null });
        get().notifyFailure(failure);
      }
    }),
  });
}
