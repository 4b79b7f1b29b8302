import { z } from 'zod';
import type { StateCreator } from 'zustand/vanilla';
import type { TextToImageParams } from '#shared/domain/job.ts';
import { readStored, writeStored } from '../client/stored.ts';
import { checkDraft, type Draft, draftFromParams, draftSchema, firstDraft, type Problems, seedsFrom } from './draft.ts';
import type { StudioDeps, StudioState } from './studio-store.ts';

const DRAFT_KEY = 'zimage.draft';
const PROMPTS_KEY = 'zimage.prompts';
const KEPT_PROMPTS = 100;

export interface DraftSlice {
  draft: Draft;
  problems: Problems;
  /** Prompts that were made, newest first, each once. */
  prompts: readonly string[];
  /** The seed of the last picture asked for, to go back to. */
  lastSeed: number | null;
  /** Changes fields; what was wrong with them is forgotten until the next check. */
  editDraft(change: Partial<Draft>): void;
  /** Checks what was typed so far, so that a wrong value is told at its field before anything is sent. */
  checkFields(): void;
  /** Fills the form with a finished picture's recipe. */
  reuse(params: TextToImageParams): void;
  /** Sends the jobs of the form; false, with `problems` filled in, where a field is wrong. */
  make(): boolean;
}

export function createDraftSlice({ storage, randomSeed }: StudioDeps): StateCreator<StudioState, [], [], DraftSlice> {
  return (set, get) => ({
    draft: readStored(storage, DRAFT_KEY, draftSchema, firstDraft),
    problems: {},
    prompts: readStored(storage, PROMPTS_KEY, z.array(z.string()), []),
    lastSeed: null,

    editDraft(change) {
      const draft = { ...get().draft, ...change };
      const problems = { ...get().problems };
      for (const field of Object.keys(change)) if (field in problems) delete problems[field as keyof Problems];
      set({ draft, problems });
      writeStored(storage, DRAFT_KEY, draft);
    },

    checkFields() {
      const checked = checkDraft(get().draft);
      const problems = checked.ok ? {} : checked.problems;
      // That nothing is written yet is told when it is sent, not while somebody fills in the rest.
      if (problems.prompt?.kind === 'promptEmpty') delete problems.prompt;
      set({ problems });
    },

    reuse(params) {
      get().editDraft(draftFromParams(params));
    },

    make() {
      const { draft, prompts } = get();
      const checked = checkDraft(draft);
      if (!checked.ok) {
        set({ problems: checked.problems });
        return false;
      }
      const firstSeed = draft.seedMode === 'random' ? randomSeed() : checked.params.seed;
      const kept = [draft.prompt, ...prompts.filter((prompt) => prompt !== draft.prompt)].slice(0, KEPT_PROMPTS);
      set({ problems: {}, prompts: kept, lastSeed: firstSeed });
      writeStored(storage, PROMPTS_KEY, kept);
      get().editDraft({ seed: String(firstSeed) });
      get().submit(seedsFrom(firstSeed, checked.count).map((seed) => ({ ...checked.params, seed })));
      return true;
    },
  });
}
