import type { Tokens } from '#shared/protocol/http.ts';

/** The token count of a prompt for a model. */
export type CountedTokens = Tokens & { prompt: string };

/** Index of the first character of `prompt` that the model ignores; null if it reads everything or the count is not known yet. */
export function cutOf(prompt: string, tokens: CountedTokens | null): number | null {
  const cutAt = tokens?.cut_at ?? null;
  if (tokens === null || cutAt === null || cutAt >= prompt.length) return null;
  // while a newer count is pending, the cut stays where the text before it is unchanged
  return prompt.slice(0, cutAt) === tokens.prompt.slice(0, cutAt) ? cutAt : null;
}
