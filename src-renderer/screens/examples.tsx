import { useTranslation } from 'react-i18next';
import { useStudio } from '../components/use-studio.ts';
import type { en } from '../i18n/en.ts';

const names = ['fox', 'sailboat', 'rocket', 'house', 'owl', 'balloon'] as const satisfies ReadonlyArray<keyof typeof en.example>;

const signs: Record<(typeof names)[number], string> = { fox: '🦊', sailboat: '⛵', rocket: '🚀', house: '🏠', owl: '🦉', balloon: '🎈' };

/** What the empty stage offers: one click writes the prompt and makes the picture. */
export function Examples() {
  const { t } = useTranslation();
  const editDraft = useStudio((state) => state.editDraft);
  const make = useStudio((state) => state.make);
  return (
    <div className="flex h-full flex-col items-center justify-center gap-6 overflow-y-auto p-4">
      <div className="text-center">
        <h2 className="text-xl font-semibold text-balance">{t('examples.title')}</h2>
        <p className="mt-1 hidden text-muted wide:block">{t('examples.lead')}</p>
        <p className="mt-1 text-muted wide:hidden">{t('examples.leadNarrow')}</p>
      </div>
      <ul className="grid w-full max-w-2xl grid-cols-1 gap-2 sm:grid-cols-2">
        {names.map((name) => (
          <li key={name}>
            <button
              type="button"
              className="flex h-full w-full items-start gap-3 rounded-lg border border-line bg-surface p-3 text-left text-sm transition-colors hover:border-accent hover:bg-accent-soft"
              onClick={() => {
                editDraft({ prompt: t(`example.${name}`) });
                make();
              }}
            >
              <span aria-hidden className="text-xl">
                {signs[name]}
              </span>
              {t(`example.${name}`)}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
