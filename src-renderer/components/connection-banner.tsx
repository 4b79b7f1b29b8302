import { PlugZap } from 'lucide-react';
import { useTranslation } from 'react-i18next';
import { Button } from './button.tsx';
import { useStudio } from './use-studio.ts';

/** One sentence while the server is away, with what to do. */
export function ConnectionBanner({ onRetry }: { onRetry: () => void }) {
  const { t } = useTranslation();
  const state = useStudio((studio) => studio.connection.state);
  const wasConnected = useStudio((studio) => studio.wasConnected);
  const isOutdated = useStudio((studio) => studio.isOutdated);
  const isAway = state === 'waiting';
  return (
    <div role="alert" className="empty:hidden">
      {(isAway || isOutdated) && (
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line bg-danger-soft px-4 py-2 text-sm">
          <PlugZap size={18} aria-hidden className="shrink-0 text-danger" />
          <p className="min-w-0 flex-1">{isAway ? t(wasConnected ? 'connection.lost' : 'connection.never') : t('connection.outdated')}</p>
          {isAway ? (
            <Button onClick={onRetry}>{t('connection.retry')}</Button>
          ) : (
            <Button onClick={() => window.location.reload()}>{t('connection.reload')}</Button>
          )}
        </div>
      )}
    </div>
  );
}
