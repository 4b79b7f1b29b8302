import { useEffect } from 'react';

/** Calls `refresh` now and then every `everyMs`, while the component is shown and the page is in view. */
export function useRefresh(refresh: () => void, everyMs: number): void {
  useEffect(() => {
    refresh();
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') refresh();
    }, everyMs);
    return () => clearInterval(timer);
  }, [refresh, everyMs]);
}
