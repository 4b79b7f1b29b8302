import { Bookmark, Eraser, FileInput, X } from 'lucide-react';
import { type KeyboardEvent, useEffect, useId, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { imageUrl } from '../client/http.ts';
import { IconButton } from '../components/button.tsx';
import { Field } from '../components/field.tsx';
import { MarkedTextarea } from '../components/marked-textarea.tsx';
import { useCheckOnLeave } from '../components/use-check-on-leave.ts';
import { usePromptUndo } from '../components/use-prompt-undo.ts';
import { useStudio, useStudioStore } from '../components/use-studio.ts';
import { problemText } from '../i18n/problem-text.ts';
import { cutOf } from '../store/prompt-cut.ts';
import { DemoWords } from './demo-words.tsx';
import { MakeBar } from './make-bar.tsx';
import { PromptHistory } from './prompt-history.tsx';
import { PromptModes } from './prompt-modes.tsx';
import { StyleChips } from './style-chips.tsx';
import { useChosenModel } from './use-chosen-model.ts';

const COUNT_DELAY_MS = 150;

/** The prompt with what helps to write it, and the Make button. */
export function PromptBox() {
  const { t } = useTranslation();
  const prompt = useStudio((state) => state.draft.prompt);
  const problem = useStudio((state) => state.problems.prompt);
  const typePrompt = useStudio((state) => state.typePrompt);
  const checkOnLeave = useCheckOnLeave();
  const make = useStudio((state) => state.make);
  const isDemo = useChosenModel()?.bundled === true;
  const recall = usePromptRecall();
  const box = useRef<HTMLTextAreaElement>(null);
  const tokensId = useId();
  const cutAt = useStudio((state) => cutOf(state.draft.prompt, state.tokens));
  usePromptUndo(box);

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
          <MarkedTextarea
            id={id}
            ref={box}
            rows={6}
            value={prompt}
            markFrom={cutAt}
            placeholder={t('prompt.placeholder')}
            aria-describedby={`${describedBy} ${tokensId}`}
            aria-invalid={isWrong}
            className="border-control transition-colors hover:border-ink aria-invalid:border-danger"
            onBlur={checkOnLeave}
            onChange={(event) => {
              recall.reset();
              typePrompt(event.target.value);
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
      <TokenCount id={tokensId} cutAt={cutAt} />
      <PromptModes />
      <StyleChips />
      {isDemo && (
        <details className="-my-1">
          <summary>{t('demo.title')}</summary>
          <div className="pt-1 pb-2">
            <DemoWords />
          </div>
        </details>
      )}
      <MakeBar />
      <Templates />
    </form>
  );
}

/** The prompt's tokens out of the model's limit, with a way to remove what is over it. */
function TokenCount({ id, cutAt }: { id: string; cutAt: number | null }) {
  const { t } = useTranslation();
  const prompt = useStudio((state) => state.draft.prompt);
  const modelType = useStudio((state) => state.draft.modelType);
  const isConnected = useStudio((state) => state.connection.state === 'open');
  const tokens = useStudio((state) => state.tokens);
  const countTokens = useStudio((state) => state.countTokens);
  const editDraft = useStudio((state) => state.editDraft);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a different prompt, another model or a new connection needs a new count
  useEffect(() => {
    if (!isConnected) return;
    const timer = setTimeout(countTokens, COUNT_DELAY_MS);
    return () => clearTimeout(timer);
  }, [prompt, modelType, isConnected, countTokens]);
  return (
    <div id={id} className="-mt-2 flex min-h-5 flex-wrap items-center gap-x-2 text-xs text-muted">
      {cutAt !== null && (
        <>
          <span className="font-medium text-danger">{t('prompt.cut')}</span>
          <button type="button" className="underline underline-offset-2 hover:text-ink" onClick={() => editDraft({ prompt: prompt.slice(0, cutAt).trimEnd() })}>
            {t('prompt.cutOff')}
          </button>
        </>
      )}
      {tokens !== null && prompt !== '' && (
        <span className={`ml-auto tabular-nums ${cutAt === null ? '' : 'font-medium text-danger'}`}>
          {/* if no word is cut, only the end of the chat template is over the limit */}
          {t('prompt.tokens', { count: tokens.cut_at === null ? Math.min(tokens.count, tokens.limit) : tokens.count, limit: tokens.limit })}
        </span>
      )}
    </div>
  );
}

/** Earlier prompts, a template of this one, the settings of an image file, and an empty box. */
function PromptTools() {
  const { t } = useTranslation();
  const prompt = useStudio((state) => state.draft.prompt);
  const isSaved = useStudio((state) => state.templates.some((template) => template.prompt === state.draft.prompt));
  const { saveTemplate, forgetTemplate, reuseFile, replaceDraft } = useStudioStore().getState();
  const file = useRef<HTMLInputElement>(null);
  return (
    <div className="flex">
      <PromptHistory />
      <IconButton
        className="size-7!"
        label={isSaved ? t('prompt.forget') : t('prompt.save')}
        isOn={isSaved}
        disabled={prompt.trim() === ''}
        onClick={() => (isSaved ? forgetTemplate(prompt) : saveTemplate())}
      >
        <Bookmark size="1rem" aria-hidden {...(isSaved ? { fill: 'currentColor' } : {})} />
      </IconButton>
      <IconButton className="size-7!" label={t('prompt.fromFile')} onClick={() => file.current?.click()}>
        <FileInput size="1rem" aria-hidden />
      </IconButton>
      <IconButton className="size-7!" label={t('prompt.clear')} disabled={prompt === ''} onClick={() => replaceDraft({ prompt: '' })}>
        <Eraser size="1rem" aria-hidden />
      </IconButton>
      <input
        ref={file}
        type="file"
        accept="image/png"
        hidden
        onChange={(event) => {
          const image = event.target.files?.[0];
          if (image !== undefined) reuseFile(image);
          event.target.value = '';
        }}
      />
    </div>
  );
}

/** The saved templates; a click fills the form, except for seed and count. */
function Templates() {
  const { t } = useTranslation();
  const templates = useStudio((state) => state.templates);
  const { replaceDraft, forgetTemplate } = useStudioStore().getState();
  if (templates.length === 0) return null;
  return (
    <details>
      <summary>{t('prompt.templates', { count: templates.length })}</summary>
      <ul className="flex max-h-48 flex-col overflow-y-auto">
        {templates.map((template) => (
          <li key={template.prompt} className="flex items-center rounded-sm hover:bg-hover">
            {template.imageFilename !== null && <img src={imageUrl(template.imageFilename, 128)} alt="" className="ml-1 size-11 rounded-sm object-cover" />}
            <button
              type="button"
              className="min-w-0 flex-1 px-2 py-1.5 text-left text-sm"
              onClick={() => {
                const { imageFilename: _shownOnly, ...draft } = template;
                replaceDraft(draft);
              }}
            >
              <span className="line-clamp-2 break-words">{template.prompt}</span>
              <span className="block text-xs text-muted tabular-nums">
                {template.width} × {template.height} · {t('detail.steps')} {template.steps} · {template.modelType}
              </span>
            </button>
            <IconButton className="size-8" label={t('prompt.forgetTemplate', { prompt: template.prompt })} onClick={() => forgetTemplate(template.prompt)}>
              <X size="0.875rem" aria-hidden />
            </IconButton>
          </li>
        ))}
      </ul>
    </details>
  );
}

/** Arrow up and down go through earlier prompts, from an empty box or while it shows one of them unchanged. */
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
