import { Sparkles } from 'lucide-react';
import { type KeyboardEvent, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Button } from '../components/button.tsx';
import { Field } from '../components/field.tsx';
import { useStudio, useStudioStore } from '../components/use-studio.ts';
import { problemText } from '../i18n/told.ts';
import { limits } from '../store/draft.ts';

/** The prompt and the button that makes it a picture. */
export function PromptBox() {
  const { t } = useTranslation();
  const prompt = useStudio((state) => state.draft.prompt);
  const count = useStudio((state) => Number(state.draft.count));
  const problem = useStudio((state) => state.problems.prompt);
  const editDraft = useStudio((state) => state.editDraft);
  const make = useStudio((state) => state.make);
  const isConnected = useStudio((state) => state.connection.state === 'open');
  const isSending = useStudio((state) => Object.keys(state.requests).length > 0);
  const recall = usePromptRecall();
  const box = useRef<HTMLTextAreaElement>(null);

  const send = () => {
    if (!make()) box.current?.focus();
  };
  return (
    <form
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <Field label={t('prompt.label')} help={t('prompt.help')} problem={problemText(t, problem)}>
        {({ id, describedBy, isWrong }) => (
          <textarea
            id={id}
            ref={box}
            rows={4}
            value={prompt}
            placeholder={t('prompt.placeholder')}
            aria-describedby={describedBy}
            aria-invalid={isWrong}
            className="field-sizing-content max-h-64 min-h-28 w-full resize-none rounded-md border border-control bg-surface px-3 py-2 transition-colors hover:border-ink aria-invalid:border-danger"
            onChange={(event) => {
              recall.reset();
              editDraft({ prompt: event.target.value });
            }}
            onKeyDown={(event) => {
              if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
                event.preventDefault();
                send();
              } else recall.onKeyDown(event);
            }}
          />
        )}
      </Field>
      {prompt.length > limits.promptCharacters * 0.8 && (
        <p className="text-xs text-muted tabular-nums">{t('prompt.counter', { used: prompt.length, max: limits.promptCharacters })}</p>
      )}
      <Button type="submit" tone="primary" className="min-h-11 text-base">
        <Sparkles size={18} aria-hidden />
        {isSending && isConnected ? t('make.sending') : count > 1 ? t('make.many', { count }) : t('make.one')}
      </Button>
      {isSending && !isConnected && <p className="text-center text-xs text-muted">{t('make.offline')}</p>}
    </form>
  );
}

/** Up and down through earlier prompts, from an empty box or while one of them stands in it unchanged. */
function usePromptRecall() {
  const store = useStudioStore();
  const [index, setIndex] = useState(-1);
  return {
    reset: () => setIndex(-1),
    onKeyDown(event: KeyboardEvent<HTMLTextAreaElement>) {
      if ((event.key !== 'ArrowUp' && event.key !== 'ArrowDown') || (index === -1 && event.currentTarget.value !== '')) return;
      const { prompts, editDraft } = store.getState();
      const next = Math.max(-1, Math.min(prompts.length - 1, index + (event.key === 'ArrowUp' ? 1 : -1)));
      if (next === index) return;
      event.preventDefault();
      setIndex(next);
      editDraft({ prompt: prompts[next] ?? '' });
    },
  };
}
