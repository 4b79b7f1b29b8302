import { z } from 'zod';
import type { StateCreator } from 'zustand/vanilla';
import type { TextToImageParams } from '#shared/domain/job.ts';
import type { Upload } from '#shared/protocol/http.ts';
import { recipeOf } from '../client/image-recipe.ts';
import { readStored, writeStored } from '../client/stored.ts';
import { checkDraft, type Draft, draftFromParams, draftFromTyped, draftSchema, firstDraft, type Problems, seedsFrom } from './draft.ts';
import type { StudioDeps, StudioState } from './studio-store.ts';

const DRAFT_KEY = 'zimage.draft';
export const PROMPTS_KEY = 'zimage.prompts';
const KEPT_PROMPTS = 100;

export interface DraftSlice {
  draft: Draft;
  problems: Problems;
  /** Prompts that were made, newest first, each once. */
  prompts: readonly string[];
  /** The seed of the last image asked for, to go back to. */
  lastSeed: number | null;
  /** Changes fields; what was wrong with them is forgotten until the next check. */
  editDraft(change: Partial<Draft>): void;
  /** Checks what was typed so far, so that a wrong value is told at its field before anything is sent. */
  checkFields(): void;
  /** Takes over the prompts that another window of this browser has made. */
  reloadPrompts(): void;
  /** Fills the form with a recipe, or with as much of one as is known. */
  reuse(params: Partial<TextToImageParams>): void;
  /** Writes values into the form as if they were typed, and checks them: from a link, by the names of the contract. */
  fill(params: Readonly<Record<string, string | number>>): void;
  /** Fills the form with the recipe in an image file, or tells that there is none. */
  reuseFile(image: Blob): void;
  /** What one of the server's image files tells of itself; null, and told, where it cannot be read. */
  readFile(filename: string): Promise<Upload | null>;
  /** Sends the jobs of the form; false, with `problems` filled in, where a field is wrong. */
  make(): boolean;
}

export function createDraftSlice({ storage, windowStorage, http, randomSeed }: StudioDeps): StateCreator<StudioState, [], [], DraftSlice> {
  const storedPrompts = () => readStored(storage, PROMPTS_KEY, z.array(z.string()), []);

  return (set, get) => {
    return {
      draft: readStored(windowStorage, DRAFT_KEY, draftSchema, readStored(storage, DRAFT_KEY, draftSchema, firstDraft)),
      problems: {},
      prompts: storedPrompts(),
      lastSeed: null,

      editDraft(change) {
        const draft = { ...get().draft, ...change };
        const problems = { ...get().problems };
        for (const field of Object.keys(change)) if (field in problems) delete problems[field as keyof Problems];
        set({ draft, problems });
        // this window's own comes first after a reload; a new window begins with the latest of all
        writeStored(windowStorage, DRAFT_KEY, draft);
        writeStored(storage, DRAFT_KEY, draft);
      },

      checkFields() {
        const checked = checkDraft(get().draft);
        const problems = checked.ok ? {} : checked.problems;
        // that nothing is written yet is told when it is sent, not while somebody fills in the rest; once told it stays until something is written
        if (problems.prompt?.kind === 'promptEmpty' && get().problems.prompt?.kind !== 'promptEmpty') delete problems.prompt;
        set({ problems });
      },

      reloadPrompts() {
        set({ prompts: storedPrompts() });
      },

      reuse(params) {
        get().editDraft(draftFromParams(params));
      },

      fill(params) {
        get().editDraft(draftFromTyped(params));
        get().show('make');
        get().checkFields();
      },

      reuseFile(image) {
        http.readImage(image).then((upload) => {
          const params = recipeOf(upload);
          if (params === null) return get().notify({ tone: 'error', code: 'no_recipe', message: '' });
          get().reuse(params);
          get().show('make');
          get().notify({ tone: 'info', text: 'recipeRead' });
        }, get().notifyFailure);
      },

      async readFile(filename) {
        try {
          return await http.readImage(await http.image(filename));
        } catch (failure) {
          get().notifyFailure(failure);
          return null;
        }
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
    };
  };
}
