import { useTranslation } from 'react-i18next';
import { useStudio } from '../components/use-studio.ts';
import type { en } from '../i18n/en.ts';
import { type Scene, SceneIcon } from './scene-icon.tsx';

type ExampleName = keyof typeof en.example;

const examples: ReadonlyArray<{ name: ExampleName; scene: Scene }> = [
  { name: 'fox', scene: { sky: '#f2b08a', ground: '#f4f7fb', light: '#ffe08a', subject: '#c8452c' } },
  { name: 'sailboat', scene: { sky: '#8fd0f5', ground: '#f1dca7', light: '#fff3b0', subject: '#f5c334' } },
  { name: 'rocket', scene: { sky: '#1c2148', ground: '#3a3f6b', light: '#f4efe2', subject: '#3f7fe0' } },
  { name: 'house', scene: { sky: '#f0a987', ground: '#7d8ca3', light: '#ffd98a', subject: '#fbfaf6' } },
  { name: 'owl', scene: { sky: '#22305c', ground: '#23513d', light: '#f2ead3', subject: '#8a5cc4' } },
  { name: 'balloon', scene: { sky: '#9ad6f7', ground: '#e0b872', light: '#fff3b0', subject: '#ef7d2d' } },
];

/** Example prompts on the empty stage; a click fills in the prompt and makes the image. */
export function Examples() {
  const { t } = useTranslation();
  const replaceDraft = useStudio((state) => state.replaceDraft);
  const make = useStudio((state) => state.make);
  return (
    <div className="flex min-h-full flex-col items-center justify-center gap-6 py-4">
      <div className="text-center">
        <h2 className="text-xl font-semibold text-balance">{t('examples.title')}</h2>
        <p className="mt-1 hidden text-muted wide:block">{t('examples.lead')}</p>
        <p className="mt-1 text-muted wide:hidden">{t('examples.leadNarrow')}</p>
      </div>
      <ul className="grid w-full max-w-2xl gap-2 wide:grid-cols-[repeat(auto-fit,minmax(16rem,1fr))]">
        {examples.map(({ name, scene }) => (
          <li key={name}>
            <button
              type="button"
              className="flex h-full w-full items-center gap-3 rounded-lg border border-line bg-surface p-2.5 text-left text-sm transition-colors hover:border-accent hover:bg-accent-soft"
              onClick={() => {
                replaceDraft({ prompt: t(`example.${name}`) });
                make();
              }}
            >
              <SceneIcon scene={scene} />
              {t(`example.${name}`)}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
