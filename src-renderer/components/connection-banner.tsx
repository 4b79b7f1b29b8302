import { PlugZap } from 'lucide-react';
import { type ReactNode, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Button } from './button.tsx';
import { useRefresh } from './use-refresh.ts';
import { useStudio } from './use-studio.ts';

const ENGINE_REFRESH_MS = 5000;

/** One sentence about what is out of order, with what to do; the gravest comes first. */
export function ConnectionBanner({ onRetry }: { onRetry: () => void }) {
  const { t } = useTranslation();
  const isAway = useStudio((studio) => studio.isAway);
  const wasConnected = useStudio((studio) => studio.wasConnected);
  const isOutdated = useStudio((studio) => studio.isOutdated);
  const isEngineGone = useStudio((studio) => studio.info?.engine.state === 'unavailable');
  const isDiskFull = useStudio((studio) => studio.isDiskFull);
  const isOnline = useIsOnline();
  return (
    <div role="alert" className="empty:hidden">
      {isAway || !isOnline ? (
        <Trouble action={<Button onClick={onRetry}>{t('connection.retry')}</Button>}>
          {t(isOnline ? (wasConnected ? 'connection.lost' : 'connection.never') : 'connection.offline')}
        </Trouble>
      ) : isOutdated ? (
        <Trouble action={<Button onClick={() => window.location.reload()}>{t('connection.reload')}</Button>}>{t('connection.outdated')}</Trouble>
      ) : isEngineGone ? (
        <EngineGone />
      ) : (
        isDiskFull && <Trouble>{t('connection.diskFull')}</Trouble>
      )}
    </div>
  );
}

function Trouble({ children, action }: { children: string; action?: ReactNode }) {
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line bg-danger-soft px-4 py-2 text-sm">
      <PlugZap size={18} aria-hidden className="shrink-0 text-danger" />
      <p className="min-w-0 flex-1">{children}</p>
      {action}
    </div>
  );
}

/** Nothing tells when the engine is back, so it is asked for. */
function EngineGone() {
  const { t } = useTranslation();
  const refreshInfo = useStudio((studio) => studio.refreshInfo);
  useRefresh(refreshInfo, ENGINE_REFRESH_MS);
  return <Trouble>{t('connection.engineGone')}</Trouble>;
}

/** A server on this very machine is reached without a network too. */
function useIsOnline(): boolean {
  const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(window.location.hostname);
  const [isOnline, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const update = () => setOnline(navigator.onLine);
    window.addEventListener('online', update);
    window.addEventListener('offline', update);
    return () => {
      window.removeEventListener('online', update);
      window.removeEventListener('offline', update);
    };
  }, []);
  return isOnline || isLocal;
}
