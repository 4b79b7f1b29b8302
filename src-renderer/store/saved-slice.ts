import { z } from 'zod';
import type { StateCreator } from 'zustand/vanilla';
import { readStored, writeStored } from '../client/stored.ts';
import type { SavedSlice, StudioDeps, StudioState } from './state.ts';
import { type Template, templateSchema } from './template.ts';

const TEMPLATES_KEY = 'zimage.templates';
const STYLES_KEY = 'zimage.styles';
export const savedKeys: ReadonlySet<string> = new Set([TEMPLATES_KEY, STYLES_KEY]);

type Needs = SavedSlice & Pick<StudioState, 'draft' | 'jobs' | 'selectedId'>;

export function createSavedSlice({ storage }: Pick<StudioDeps, 'storage'>): StateCreator<Needs, [], [], SavedSlice> {
  const stored = () => ({
    templates: readStored(storage, TEMPLATES_KEY, z.array(templateSchema), []),
    ownStyles: readStored(storage, STYLES_KEY, z.array(z.string()), []),
  });

  return (set, get) => {
    function saveTemplates(templates: Template[]): void {
      set({ templates });
      writeStored(storage, TEMPLATES_KEY, templates);
    }

    function saveStyles(ownStyles: string[]): void {
      set({ ownStyles });
      writeStored(storage, STYLES_KEY, ownStyles);
    }

    return {
      ...stored(),

      saveTemplate() {
        const { draft, templates, jobs, selectedId } = get();
        if (draft.prompt.trim() === '') return;
        const onStage = selectedId === null ? undefined : jobs[selectedId];
        const imageFilename = onStage?.params?.prompt === draft.prompt ? onStage.filename : null;
        saveTemplates([templateSchema.parse({ ...draft, imageFilename }), ...templates.filter(({ prompt }) => prompt !== draft.prompt)]);
      },

      forgetTemplate(forgotten) {
        saveTemplates(get().templates.filter(({ prompt }) => prompt !== forgotten));
      },

      addStyle(style) {
        const words = style.trim();
        if (words !== '' && !get().ownStyles.includes(words)) saveStyles([...get().ownStyles, words]);
      },

      forgetStyle(forgotten) {
        saveStyles(get().ownStyles.filter((style) => style !== forgotten));
      },

      reloadSaved() {
        set(stored());
      },
    };
  };
}
