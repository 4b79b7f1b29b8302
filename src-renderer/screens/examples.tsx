import { Dices } from 'lucide-react';
import { useTranslation } from 'react-i18next';
import samples from '../../docs/images/storybook.png';
import { Button } from '../components/button.tsx';
import { useStudioStore } from '../components/use-studio.ts';
import { demoExamples } from '../store/demo-examples.ts';
import { DemoWords, randomDemoPrompt, useDemoWords } from './demo-words.tsx';
import { useChosenModel } from './use-chosen-model.ts';

const cardClass = 'overflow-hidden rounded-lg border border-line bg-surface text-left text-sm transition-colors hover:border-accent hover:bg-accent-soft';

/** Example prompts on the empty stage, for the chosen model; a click fills in the prompt and makes the image. */
export function Examples() {
  const { t } = useTranslation();
  const isDemo = useChosenModel()?.bundled ?? true;
  return (
    <div className="flex min-h-full flex-col items-center justify-center gap-6 py-4">
      <div className="text-center">
        <h2 className="text-xl font-semibold text-balance">{t('examples.title')}</h2>
        <p className="mt-1 hidden text-muted wide:block">{t('examples.lead')}</p>
        <p className="mt-1 text-muted wide:hidden">{t('examples.leadNarrow')}</p>
      </div>
      {isDemo ? <DemoExamples /> : <PhotoExamples />}
    </div>
  );
}

function useMakeOf(): (prompt: string) => void {
  const { replaceDraft, make } = useStudioStore().getState();
  return (prompt) => {
    replaceDraft({ prompt, usesPatterns: false, usesLines: false });
    make();
  };
}

function DemoExamples() {
  const { t } = useTranslation();
  const makeOf = useMakeOf();
  const words = useDemoWords();
  return (
    <>
      <ul className="grid w-full max-w-2xl grid-cols-2 gap-3 wide:grid-cols-3">
        {demoExamples.map(({ name }, index) => (
          <li key={name}>
            <button type="button" className={`flex h-full w-full flex-col ${cardClass}`} onClick={() => makeOf(t(`example.${name}`))}>
              <span
                aria-hidden
                className="block aspect-square w-full bg-sunken"
                style={{
                  backgroundImage: `url("${samples}")`,
                  backgroundSize: `${demoExamples.length * 100}% auto`,
                  backgroundPosition: `${(index / (demoExamples.length - 1)) * 100}% 50%`,
                }}
              />
              <span className="p-3 first-letter:uppercase">{t(`example.${name}`)}</span>
            </button>
          </li>
        ))}
      </ul>
      <Button onClick={() => makeOf(randomDemoPrompt(words))}>
        <Dices size="1.125rem" aria-hidden />
        {t('examples.surprise')}
      </Button>
      <section aria-label={t('demo.title')} className="w-full max-w-2xl">
        <h3 className="mb-2 text-sm font-medium">{t('demo.title')}</h3>
        <DemoWords />
      </section>
    </>
  );
}

/** Prompts for the full model, which knows the world. */
function PhotoExamples() {
  const { t } = useTranslation();
  const makeOf = useMakeOf();
  const ideas: string[] = Object.values(t('idea', { returnObjects: true }));
  return (
    <>
      <ul className="grid w-full max-w-2xl gap-3 wide:grid-cols-2">
        {ideas.slice(0, 6).map((idea) => (
          <li key={idea}>
            <button type="button" className={`h-full w-full p-4 ${cardClass}`} onClick={() => makeOf(idea)}>
              {idea}
            </button>
          </li>
        ))}
      </ul>
      <Button onClick={() => makeOf(ideas[Math.floor(Math.random() * ideas.length)] ?? '')}>
        <Dices size="1.125rem" aria-hidden />
        {t('examples.surprise')}
      </Button>
    </>
  );
}
