import { useTranslation } from 'react-i18next';
import { useStudio } from '../components/use-studio.ts';
import { withWord } from '../store/prompt-style.ts';

/** Styles have chips of their own beside the prompt. */
const shownGroups = ['subject', 'wearing', 'place', 'time'] as const;
const groups = [...shownGroups, 'style'] as const;
type WordGroup = (typeof groups)[number];
type Words = Record<WordGroup, string[]>;

/** The words that the demo model knows, in the language of the window. */
export function useDemoWords(): Words {
  const { t } = useTranslation();
  return Object.fromEntries(groups.map((group) => [group, Object.values(t(`demo.${group}`, { returnObjects: true }))])) as Words;
}

const chipClass =
  'min-h-7 rounded-full border border-line bg-surface px-2 text-xs text-muted transition-colors hover:border-control hover:text-ink aria-pressed:border-accent aria-pressed:bg-accent-soft aria-pressed:text-accent [@media(hover:none)]:min-h-9';

/** Everything that the demo model knows, as chips; a click puts the word into the prompt or takes it out. */
export function DemoWords() {
  const { t } = useTranslation();
  const words = useDemoWords();
  const prompt = useStudio((state) => state.draft.prompt);
  const editDraft = useStudio((state) => state.editDraft);
  return (
    <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-3 gap-y-2">
      {shownGroups.map((group) => (
        <div key={group} className="contents">
          <dt className="pt-1 text-xs text-muted">{t(`demo.names.${group}`)}</dt>
          <dd className="flex flex-wrap gap-1">
            {words[group].map((word) => (
              <button
                key={word}
                type="button"
                aria-pressed={prompt.includes(word)}
                className={chipClass}
                onClick={() => editDraft({ prompt: withWord(prompt, word, words[group], words.style) })}
              >
                {word}
              </button>
            ))}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** A random prompt of the demo model's words. */
export function randomDemoPrompt(words: Words): string {
  const pick = (group: WordGroup) => words[group][Math.floor(Math.random() * words[group].length)] ?? '';
  return groups.reduce((prompt, group) => withWord(prompt, pick(group), words[group], words.style), '');
}
