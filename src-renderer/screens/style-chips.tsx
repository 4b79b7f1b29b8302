import { useTranslation } from 'react-i18next';
import { useStudio } from '../components/use-studio.ts';
import type { en } from '../i18n/en.ts';
import { styleOf, withStyle } from '../store/prompt-style.ts';

const names = ['digitalArt', 'watercolor', 'pixelArt', 'pencil'] as const satisfies ReadonlyArray<keyof typeof en.style>;

/** Styles that the models know; one click writes it at the prompt's end, another takes it away. */
export function StyleChips() {
  const { t } = useTranslation();
  const prompt = useStudio((state) => state.draft.prompt);
  const editDraft = useStudio((state) => state.editDraft);
  const styles = names.map((name) => t(`style.${name}`));
  const present = styleOf(prompt, styles);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset's legend cannot stand in the row
    <div role="group" aria-label={t('prompt.styles')} className="flex flex-wrap gap-1.5">
      {styles.map((style) => (
        <button
          key={style}
          type="button"
          aria-pressed={style === present}
          className="min-h-7 rounded-full border border-line px-2.5 text-xs text-muted transition-colors hover:border-control hover:text-ink aria-pressed:border-accent aria-pressed:bg-accent-soft aria-pressed:text-accent"
          onClick={() => editDraft({ prompt: withStyle(prompt, style === present ? null : style, styles) })}
        >
          {style}
        </button>
      ))}
    </div>
  );
}
