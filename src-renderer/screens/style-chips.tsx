import { Plus, X } from 'lucide-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useStudio } from '../components/use-studio.ts';
import type { en } from '../i18n/en.ts';
import { styleOf, withStyle } from '../store/prompt-style.ts';

const names = ['digitalArt', 'watercolor', 'pixelArt', 'pencil'] as const satisfies ReadonlyArray<keyof typeof en.demo.style>;

const chipClass =
  'inline-flex min-h-7 items-center rounded-full border border-line text-xs text-muted transition-colors hover:border-control hover:text-ink has-aria-pressed:border-accent has-aria-pressed:bg-accent-soft has-aria-pressed:text-accent';

/** Styles that the models know and the user's own; a click adds or removes one at the end of the prompt. */
export function StyleChips() {
  const { t } = useTranslation();
  const prompt = useStudio((state) => state.draft.prompt);
  const ownStyles = useStudio((state) => state.ownStyles);
  const editDraft = useStudio((state) => state.editDraft);
  const forgetStyle = useStudio((state) => state.forgetStyle);
  const styles = [...names.map((name) => t(`demo.style.${name}`)), ...ownStyles];
  const present = styleOf(prompt, styles);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset's legend cannot stand in the row
    <div role="group" aria-label={t('prompt.styles')} className="flex flex-wrap gap-1">
      {styles.map((style) => (
        <span key={style} className={chipClass}>
          <button
            type="button"
            aria-pressed={style === present}
            className="min-h-7 max-w-56 truncate rounded-full px-2"
            onClick={() => editDraft({ prompt: withStyle(prompt, style === present ? null : style, styles) })}
          >
            {style}
          </button>
          {ownStyles.includes(style) && (
            <button
              type="button"
              aria-label={t('prompt.forgetStyle', { style })}
              className="mr-0.5 -ml-1.5 inline-flex size-6 items-center justify-center rounded-full"
              onClick={() => forgetStyle(style)}
            >
              <X size="0.75rem" aria-hidden />
            </button>
          )}
        </span>
      ))}
      <NewStyle />
    </div>
  );
}

/** Opens a field for a style of the user's own. */
function NewStyle() {
  const { t } = useTranslation();
  const addStyle = useStudio((state) => state.addStyle);
  const [words, setWords] = useState<string | null>(null);
  if (words === null) {
    return (
      <button type="button" aria-label={t('prompt.newStyle')} title={t('prompt.newStyle')} className={`${chipClass} px-2`} onClick={() => setWords('')}>
        <Plus size="0.875rem" aria-hidden />
      </button>
    );
  }
  const done = () => {
    addStyle(words);
    setWords(null);
  };
  return (
    <input
      // biome-ignore lint/a11y/noAutofocus: the user has just opened this field
      autoFocus
      aria-label={t('prompt.newStyle')}
      placeholder={t('prompt.newStyle')}
      maxLength={100}
      className="min-h-7 w-40 rounded-full border border-control bg-surface px-2 text-xs"
      value={words}
      onChange={(event) => setWords(event.target.value)}
      // leaving the field neither saves a half-typed style nor loses it
      onBlur={() => {
        if (words.trim() === '') setWords(null);
      }}
      onKeyDown={(event) => {
        if (event.key === 'Escape') setWords(null);
        if (event.key !== 'Enter') return;
        event.preventDefault();
        done();
      }}
    />
  );
}
