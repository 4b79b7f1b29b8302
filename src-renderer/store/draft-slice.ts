import { z } from 'zod';
import type { StateCreator } from 'zustand/vanilla';
import type { GenerateParams } from '../client/create-job.ts';
import { readMetadata } from '../client/metadata/read-metadata.ts';
import { readStored, writeStored } from '../client/stored.ts';
import { checkDraft, type Draft, draftFromParams, draftFromTyped, draftSchema, firstDraft, seedsFrom } from './draft.ts';
import { createDraftHistory } from './draft-history.ts';
import type { Control, DraftSlice, Start, StudioDeps, StudioState } from './state.ts';

const DRAFT_KEY = 'zimage.draft';
export const PROMPTS_KEY = 'zimage.prompts';
const MAX_PROMPTS = 100;

type Needs = DraftSlice & Pick<StudioState, 'start' | 'control' | 'chosenLoras' | 'show' | 'notify' | 'dismissUndo' | 'notifyFailure' | 'submit'>;

export function createDraftSlice({
  storage,
  windowStorage,
  http,
  randomSeed,
  now,
}: Pick<StudioDeps, 'storage' | 'windowStorage' | 'http' | 'randomSeed' | 'now'>): StateCreator<Needs, [], [], DraftSlice> {
  const storedPrompts = () => readStored(storage, PROMPTS_KEY, z.array(z.string()), []);
  const history = createDraftHistory(now);

  return (set, get) => {
    function write(change: Partial<Draft>): void {
      const draft = { ...get().draft, ...change };
      const problems = { ...get().problems };
      for (const field of Object.keys(change)) if (field in problems) delete problems[field as keyof typeof problems];
      set({ draft, problems });
      // after a reload this window gets its own draft back; a new window starts from the latest of all windows
      writeStored(windowStorage, DRAFT_KEY, draft);
      writeStored(storage, DRAFT_KEY, draft);
    }

    function rememberPrompt(prompt: string): void {
      if (prompt.trim() === '') return;
      const prompts = [prompt, ...get().prompts.filter((known) => known !== prompt)].slice(0, MAX_PROMPTS);
      set({ prompts });
      writeStored(storage, PROMPTS_KEY, prompts);
    }

    return {
      draft: readStored(windowStorage, DRAFT_KEY, draftSchema, readStored(storage, DRAFT_KEY, draftSchema, firstDraft)),
      problems: {},
      prompts: storedPrompts(),
      lastSeed: null,

      editDraft(change) {
        if (change.prompt !== undefined) history.add(get().draft, change);
        write(change);
      },

      typePrompt(prompt) {
        history.addTyping(get().draft, { prompt });
        write({ prompt });
      },

      replaceDraft(change) {
        const { draft } = get();
        history.add(draft, change);
        write(change);
        if (change.prompt === undefined || change.prompt === draft.prompt || draft.prompt.trim() === '') return;
        rememberPrompt(draft.prompt);
        get().notify({ tone: 'undo', text: 'draftReplaced', count: 1, undo: () => get().replaceDraft(draft) });
      },

      undoDraft() {
        const change = history.undo(get().draft);
        if (change !== null) write(change);
        get().dismissUndo('draftReplaced');
        return change !== null;
      },

      redoDraft() {
        const change = history.redo(get().draft);
        if (change !== null) write(change);
        return change !== null;
      },

      checkFields() {
        const checked = checkDraft(get().draft);
        const problems = checked.ok ? {} : checked.problems;
        // an empty prompt is reported when the form is sent, not while other fields are filled in; once reported it stays until text is typed
        if (problems.prompt?.kind === 'promptEmpty' && get().problems.prompt?.kind !== 'promptEmpty') delete problems.prompt;
        set({ problems });
      },

      reloadPrompts() {
        set({ prompts: storedPrompts() });
      },

      reuse(params) {
        get().replaceDraft(draftFromParams(params));
      },

      fill(params) {
        get().replaceDraft(draftFromTyped(params));
        get().show('make');
        get().checkFields();
      },

      reuseFile(image) {
        http.readImage(image).then((upload) => {
          const params = readMetadata(upload);
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

      async verifyFile(filename, repeat) {
        try {
          return await http.verifyImage(await http.image(filename), repeat);
        } catch (failure) {
          get().notifyFailure(failure);
          return null;
        }
      },

      make() {
        const { draft, chosenLoras, control } = get();
        const checked = checkDraft(draft);
        if (!checked.ok) {
          set({ problems: checked.problems });
          return false;
        }
        const firstSeed = draft.seedMode === 'random' ? randomSeed() : checked.params.seed;
        set({ problems: {}, lastSeed: firstSeed });
        rememberPrompt(draft.prompt);
        write({ seed: String(firstSeed) });
        // every prompt gets the same seeds, so that only the words differ
        const seeds = seedsFrom(firstSeed, checked.count);
        const more = {
          ...startParams(get().start),
          ...(chosenLoras.length === 0 ? {} : { loras: chosenLoras }),
          ...(control && { control: controlOf(control) }),
        };
        get().submit(checked.prompts.flatMap((prompt) => seeds.map((seed) => ({ ...checked.params, ...more, prompt, seed }))));
        return true;
      },
    };
  };
}

/** What the params say about the image that the next ones start from. */
function startParams(start: Start | null): Partial<GenerateParams> {
  if (start === null) return {};
  const { id, strength, mask, expand, onlyMasked } = start;
  const isExpanded = Object.values(expand).some((pixels) => pixels > 0);
  return {
    ...{ image: id, strength, fit: 'cover' },
    ...(mask === null ? {} : { mask: mask.id, feather: mask.featherPx }),
    ...(isExpanded ? { expand } : {}),
    ...(onlyMasked && mask !== null ? { only_masked: true } : {}),
  };
}

/** The server finds the identity itself. */
function controlOf({ id: image, ...control }: Control): NonNullable<GenerateParams['control']> {
  return { image, identity: '', ...control };
}
