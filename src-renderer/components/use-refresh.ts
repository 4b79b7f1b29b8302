import { useEffect } from 'react';

/** Calls `refresh` at once and every `everyMs`, while the component is mounted and the page is visible. */
export function useRefresh(refresh: () => void, everyMs: number): void {
  useEffect(() => {
    refresh();
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') refresh();
    }, everyMs);
    return () => clearInterval(timer);
  }, [refresh, everyMs]);
}
