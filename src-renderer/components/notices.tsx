import { X } from 'lucide-react';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { errorText } from '../i18n/error-text.ts';
import type { Notice } from '../store/notices-slice.ts';
import { useStudio } from './use-studio.ts';

const SHOWN_MS = { info: 2500, undo: 10_000, error: 12_000 };

/** Short messages over the lower edge; they go by themselves. */
export function Notices() {
  const notices = useStudio((state) => state.notices);
  return (
    <div aria-live="polite" className="pointer-events-none fixed inset-x-0 bottom-20 z-30 flex flex-col items-center gap-2 px-4 wide:bottom-6">
      {notices.map((notice) => (
        <NoticeCard key={notice.id} notice={notice} />
      ))}
    </div>
  );
}

function NoticeCard({ notice }: { notice: Notice }) {
  const { t } = useTranslation();
  const dismiss = useStudio((state) => state.dismiss);
  const restore = useStudio((state) => state.restore);
  useEffect(() => {
    const timer = setTimeout(() => dismiss(notice.id), SHOWN_MS[notice.tone]);
    return () => clearTimeout(timer);
  }, [notice, dismiss]);
  const words =
    notice.tone === 'error'
      ? errorText(t, notice)
      : notice.tone === 'undo'
        ? t('notice.deleted', { count: notice.deletedIds.length })
        : notice.text === 'binEmptied'
          ? t('notice.binEmptied', { count: notice.count })
          : t(`notice.${notice.text}`);
  return (
    <div className="pointer-events-auto flex max-w-lg animate-appear items-center gap-2 rounded-md bg-notice py-1 pr-1 pl-4 text-sm text-on-notice shadow-float">
      <p className="py-1.5">{words}</p>
      {notice.tone === 'undo' && (
        <button
          type="button"
          className="min-h-9 rounded-sm px-3 font-semibold underline underline-offset-2"
          onClick={() => {
            restore(notice.deletedIds);
            dismiss(notice.id);
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
        <X size={16} aria-hidden />
      </button>
    </div>
  );
}
