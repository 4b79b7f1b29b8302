import { Bookmark, FileInput, Sparkles } from 'lucide-react';
import { type KeyboardEvent, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Button, IconButton } from '../components/button.tsx';
import { Field } from '../components/field.tsx';
import { useStudio, useStudioStore } from '../components/use-studio.ts';
import { problemText } from '../i18n/told.ts';
import { limits } from '../store/draft.ts';
import { StyleChips } from './style-chips.tsx';

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
      <Field label={t('prompt.label')} help={t('prompt.help')} problem={problemText(t, problem)} aside={<PromptTools />}>
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
      <StyleChips />
      <Button type="submit" tone="primary" className="min-h-11 text-base">
        <Sparkles size={18} aria-hidden />
        {isSending && isConnected ? t('make.sending') : count > 1 ? t('make.many', { count }) : t('make.one')}
      </Button>
      <SavedPrompts />
      {isSending && !isConnected && <p className="text-center text-xs text-muted">{t('make.offline')}</p>}
    </form>
  );
}

/** Keeping a prompt, and taking one from a picture file. */
function PromptTools() {
  const { t } = useTranslation();
  const isSaved = useStudio((state) => state.savedPrompts.includes(state.draft.prompt));
  const isEmpty = useStudio((state) => state.draft.prompt.trim() === '');
  const { savePrompt, forgetPrompt, reuseFile } = useStudioStore().getState();
  const file = useRef<HTMLInputElement>(null);
  return (
    <div className="flex">
      <IconButton
        className="size-7"
        label={isSaved ? t('prompt.forget') : t('prompt.save')}
        isOn={isSaved}
        disabled={isEmpty}
        onClick={isSaved ? forgetPrompt : savePrompt}
      >
        <Bookmark size={16} aria-hidden {...(isSaved ? { fill: 'currentColor' } : {})} />
      </IconButton>
      <IconButton className="size-7" label={t('prompt.fromFile')} onClick={() => file.current?.click()}>
        <FileInput size={16} aria-hidden />
      </IconButton>
      <input
        ref={file}
        type="file"
        accept="image/png"
        hidden
        onChange={(event) => {
          const picture = event.target.files?.[0];
          if (picture !== undefined) reuseFile(picture);
          event.target.value = '';
        }}
      />
    </div>
  );
}

/** Prompts that were kept; a click writes one into the box. */
function SavedPrompts() {
  const { t } = useTranslation();
  const savedPrompts = useStudio((state) => state.savedPrompts);
  const editDraft = useStudio((state) => state.editDraft);
  if (savedPrompts.length === 0) return null;
  return (
    <details className="group">
      <summary className="flex min-h-8 list-none items-center gap-2 text-sm text-muted before:transition-transform before:content-['›'] group-open:before:rotate-90 hover:text-ink">
        {t('prompt.saved')}
      </summary>
      <ul className="flex max-h-40 flex-col overflow-y-auto">
        {savedPrompts.map((prompt) => (
          <li key={prompt}>
            <button
              type="button"
              className="line-clamp-2 w-full break-words rounded-sm px-2 py-1.5 text-left text-sm hover:bg-hover"
              onClick={() => editDraft({ prompt })}
            >
              {prompt}
            </button>
          </li>
        ))}
      </ul>
    </details>
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
