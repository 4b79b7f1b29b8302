import { Minus, Plus, Sparkles } from 'lucide-react';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { Button, IconButton } from '../components/button.tsx';
import { controlClass } from '../components/field.tsx';
import { useCheckOnLeave } from '../components/use-check-on-leave.ts';
import { useDuration } from '../components/use-duration.ts';
import { useStudio } from '../components/use-studio.ts';
import { problemText } from '../i18n/problem-text.ts';
import { imageCount, limits, numberOf } from '../store/draft.ts';
import { expectedMs } from '../store/expected-time.ts';
import { useChosenModel } from './use-chosen-model.ts';

/** How many images, and the Make button with the time that they are expected to take. On phones it stays at the lower edge. */
export function MakeBar() {
  const { t } = useTranslation();
  const draft = useStudio((state) => state.draft);
  const isConnected = useStudio((state) => state.connection.state === 'open');
  const isSending = useStudio((state) => Object.keys(state.requests).length > 0);
  const problem = useStudio((state) => state.problems.count);
  const count = useMemo(() => imageCount(draft), [draft]);
  const expected = useExpectedMs(count);
  const duration = useDuration();
  return (
    <div className="flex flex-col gap-1 max-wide:sticky max-wide:bottom-0 max-wide:z-10 max-wide:-mx-4 max-wide:border-t max-wide:border-line max-wide:bg-canvas max-wide:px-4 max-wide:py-2">
      <div className="flex items-center gap-2">
        <CountStepper />
        <Button type="submit" tone="primary" className="min-h-11 min-w-0 flex-1 px-2! text-base active:scale-98">
          <Sparkles size="1.125rem" aria-hidden />
          {isSending && isConnected ? t('make.sending') : count > 1 ? t('make.many', { count }) : t('make.one')}
          {expected !== null && <span className="text-sm font-normal opacity-80">{t('make.expected', { time: duration(expected) })}</span>}
        </Button>
      </div>
      {problem !== undefined && <p className="text-xs font-medium text-danger">{problemText(t, problem)}</p>}
      {isSending && !isConnected && <p className="text-center text-xs text-muted">{t('make.offline')}</p>}
    </div>
  );
}

/** Expected milliseconds for all images; null while nothing was measured. */
function useExpectedMs(count: number): number | null {
  const model = useChosenModel();
  const draft = useStudio((state) => state.draft);
  const measured = useStudio((state) => state.info?.queue.measured);
  if (model === undefined || measured === undefined || Number.isNaN(count)) return null;
  const wanted = { checkpoint: model.name, width: numberOf(draft.width), height: numberOf(draft.height), steps: numberOf(draft.steps) };
  const one = expectedMs(wanted, measured);
  return one === null ? null : one * count;
}

function CountStepper() {
  const { t } = useTranslation();
  const value = useStudio((state) => state.draft.count);
  const isWrong = useStudio((state) => state.problems.count !== undefined);
  const editDraft = useStudio((state) => state.editDraft);
  const checkOnLeave = useCheckOnLeave();
  const count = numberOf(value);
  const set = (next: number) => editDraft({ count: String(Math.min(limits.count.max, Math.max(limits.count.min, next))) });
  return (
    <div className="flex items-center rounded-md bg-sunken">
      <IconButton className="h-11! w-7!" label={t('make.fewer')} disabled={!(count > limits.count.min)} onClick={() => set(count - 1)}>
        <Minus size="1rem" aria-hidden />
      </IconButton>
      <label className="flex items-center text-sm">
        <span aria-hidden>×</span>
        <input
          aria-label={t('options.count')}
          title={t('options.countHelp', { max: limits.count.max })}
          inputMode="numeric"
          autoComplete="off"
          className={`${controlClass} w-8! border-transparent! bg-transparent! px-1! text-center`}
          aria-invalid={isWrong}
          value={value}
          onChange={(event) => editDraft({ count: event.target.value })}
          onBlur={checkOnLeave}
          onKeyDown={(event) => {
            if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return;
            event.preventDefault();
            if (Number.isInteger(count)) set(count + (event.key === 'ArrowUp' ? 1 : -1));
          }}
        />
      </label>
      <IconButton className="h-11! w-7!" label={t('make.more')} disabled={!(count < limits.count.max)} onClick={() => set(count + 1)}>
        <Plus size="1rem" aria-hidden />
      </IconButton>
    </div>
  );
}
