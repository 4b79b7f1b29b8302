import type { StateCreator } from 'zustand/vanilla';
import type { Tokens } from '#shared/protocol/http.ts';
import { limits } from './draft.ts';
import { oneAtATime } from './one-at-a-time.ts';
import type { StudioDeps, StudioState } from './studio-store.ts';

/** How many tokens a prompt has for a model, as the server counted them. */
export type CountedTokens = Tokens & { prompt: string };

export interface TokensSlice {
  /** Of the newest prompt that was counted, which the form may be ahead of; null before the first. */
  tokens: CountedTokens | null;
  /** Asks for the tokens of the prompt in the form. */
  countTokens(): void;
}

export function createTokensSlice({ http }: StudioDeps): StateCreator<StudioState, [], [], TokensSlice> {
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

/** Index of the first character of `prompt` that the model would not see; null where it sees all or that is not known yet. */
export function cutOf(prompt: string, tokens: CountedTokens | null): number | null {
  const cutAt = tokens?.cut_at ?? null;
  if (tokens === null || cutAt === null || cutAt >= prompt.length) return null;
  // while the count of what was typed since is under way, the cut stays where nothing before it has changed
  return prompt.slice(0, cutAt) === tokens.prompt.slice(0, cutAt) ? cutAt : null;
}
