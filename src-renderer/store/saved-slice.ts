import { z } from 'zod';
import type { StateCreator } from 'zustand/vanilla';
import { readStored, writeStored } from '../client/stored.ts';
import { draftSchema } from './draft.ts';
import type { StudioDeps, StudioState } from './studio-store.ts';

const TEMPLATES_KEY = 'zimage.templates';
const STYLES_KEY = 'zimage.styles';
export const savedKeys: ReadonlySet<string> = new Set([TEMPLATES_KEY, STYLES_KEY]);

/** A prompt with the settings that belong to it; seed and count stay as they are in the form. */
const templateSchema = draftSchema.pick({ prompt: true, width: true, height: true, steps: true, guidanceScale: true, modelType: true });
export type Template = z.infer<typeof templateSchema>;

export interface SavedSlice {
  /** Kept by hand, newest first, each prompt once. */
  templates: readonly Template[];
  /** Styles of one's own, in the order in which they were added. */
  ownStyles: readonly string[];
  /** Keeps what is in the form. */
  saveTemplate(): void;
  forgetTemplate(prompt: string): void;
  addStyle(style: string): void;
  forgetStyle(style: string): void;
  /** Takes over what another window of this browser has kept. */
  reloadSaved(): void;
}

export function createSavedSlice({ storage }: StudioDeps): StateCreator<StudioState, [], [], SavedSlice> {
  const stored = () => ({
    templates: readStored(storage, TEMPLATES_KEY, z.array(templateSchema), []),
    ownStyles: readStored(storage, STYLES_KEY, z.array(z.string()), []),
  });

  return (set, get) => {
    function keepTemplates(templates: Template[]): void {
      set({ templates });
      writeStored(storage, TEMPLATES_KEY, templates);
    }

    function keepStyles(ownStyles: string[]): void {
      set({ ownStyles });
      writeStored(storage, STYLES_KEY, ownStyles);
    }

    return {
      ...stored(),

      saveTemplate() {
        const { draft, templates } = get();
        if (draft.prompt.trim() === '') return;
        keepTemplates([templateSchema.parse(draft), ...templates.filter(({ prompt }) => prompt !== draft.prompt)]);
      },

      forgetTemplate(forgotten) {
        keepTemplates(get().templates.filter(({ prompt }) => prompt !== forgotten));
      },

      addStyle(style) {
        const words = style.trim();
        if (words !== '' && !get().ownStyles.includes(words)) keepStyles([...get().ownStyles, words]);
      },

      forgetStyle(forgotten) {
        keepStyles(get().ownStyles.filter((style) => style !== forgotten));
      },

      reloadSaved() {
        set(stored());
      },
    };
  };
}
