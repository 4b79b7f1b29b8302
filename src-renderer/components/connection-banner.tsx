import { PlugZap } from 'lucide-react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Button } from './button.tsx';
import { useRefresh } from './use-refresh.ts';
import { useStudio } from './use-studio.ts';

const ENGINE_REFRESH_MS = 5000;

/** The most serious problem of server, page or disk, with what to do about it. It follows the connection, never `navigator.onLine`: the server may be on this machine. */
export function ConnectionBanner({ onRetry }: { onRetry: () => void }) {
  const { t } = useTranslation();
  const isAway = useStudio((studio) => studio.isAway);
  const wasConnected = useStudio((studio) => studio.wasConnected);
  const isOutdated = useStudio((studio) => studio.isOutdated);
  const isEngineGone = useStudio((studio) => studio.info?.engine.state === 'unavailable');
  const isDiskFull = useStudio((studio) => studio.isDiskFull);
  return (
    <div role="alert" className="empty:hidden">
      {isAway ? (
        <Trouble action={<Button onClick={onRetry}>{t('connection.retry')}</Button>}>{t(wasConnected ? 'connection.lost' : 'connection.never')}</Trouble>
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
      <PlugZap size="1.125rem" aria-hidden className="shrink-0 text-danger" />
      <p className="min-w-0 flex-1">{children}</p>
      {action}
    </div>
  );
}

/** No message reports that the engine is back, so its state is polled. */
function EngineGone() {
  const { t } = useTranslation();
  const refreshInfo = useStudio((studio) => studio.refreshInfo);
  useRefresh(refreshInfo, ENGINE_REFRESH_MS);
  return <Trouble>{t('connection.engineGone')}</Trouble>;
}
