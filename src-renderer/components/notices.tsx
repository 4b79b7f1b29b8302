import { Check, TriangleAlert, Undo2, X } from 'lucide-react';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { errorText } from '../i18n/error-text.ts';
import type { Notice } from '../store/notice.ts';
import { useStudio } from './use-studio.ts';

const SHOWN_MS = { info: 2500, undo: 10_000, error: 12_000 };

/** Short messages that close after a while. They are placed below the toolbars, over images; on phones above the navigation. */
export function Notices() {
  const notices = useStudio((state) => state.notices);
  const ref = useRef<HTMLDivElement>(null);
  // a popover that is shown again is above every dialog that was opened before
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new notice needs the top layer
  useEffect(() => {
    ref.current?.hidePopover();
    ref.current?.showPopover();
  }, [notices]);
  return (
    <div
      ref={ref}
      popover="manual"
      aria-live="polite"
      className="pointer-events-none fixed inset-x-0 top-auto bottom-20 m-0 flex h-auto w-full flex-col items-center gap-2 overflow-visible border-0 bg-transparent px-4 wide:top-18 wide:bottom-auto"
    >
      {notices.map((notice) => (
        <NoticeCard key={notice.id} notice={notice} />
      ))}
    </div>
  );
}

const icons = { info: Check, undo: Undo2, error: TriangleAlert };

function NoticeCard({ notice }: { notice: Notice }) {
  const { t } = useTranslation();
  const dismiss = useStudio((state) => state.dismiss);
  useEffect(() => {
    const timer = setTimeout(() => dismiss(notice.id), SHOWN_MS[notice.tone]);
    return () => clearTimeout(timer);
  }, [notice, dismiss]);
  const Icon = icons[notice.tone];
  const colours = notice.tone === 'error' ? 'border border-danger bg-surface text-ink' : 'bg-notice text-on-notice';
  return (
    <div className={`pointer-events-auto flex max-w-lg animate-appear items-center gap-2 rounded-md py-1 pr-1 pl-3 text-sm shadow-float ${colours}`}>
      <Icon aria-hidden className={`size-4.5 shrink-0 ${notice.tone === 'error' ? 'text-danger' : ''}`} />
      <p className="py-1.5">{useNoticeText(notice)}</p>
      {notice.tone === 'undo' && (
        <button
          type="button"
          className="min-h-9 rounded-sm px-3 font-semibold underline underline-offset-2"
          onClick={() => {
            dismiss(notice.id);
            notice.undo();
          }}
        >
          {t('notice.undo')}
        </button>
      )}
      <button
        type="button"
        aria-label={t('notice.dismiss')}
        className="inline-flex size-9 shrink-0 items-center justify-center rounded-sm opacity-80 hover:opacity-100"
        onClick={() => dismiss(notice.id)}
      >
        <X aria-hidden className="size-4" />
      </button>
    </div>
  );
}

function useNoticeText(notice: Notice): string {
  const { t } = useTranslation();
  if (notice.tone === 'error') return errorText(t, notice);
  if (notice.text === 'labelAdded' || notice.text === 'labelRemoved') return t(`notice.${notice.text}`, { count: notice.count, name: notice.name ?? '' });
  if (notice.text === 'deleted' || notice.text === 'cancelled' || notice.text === 'permanentlyDeleted')
    return t(`notice.${notice.text}`, { count: notice.count });
  return t(`notice.${notice.text}`);
}
