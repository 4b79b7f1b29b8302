import { useEffect } from 'react';
import { useStudioStore } from './use-studio.ts';

/** Outside text fields, Ctrl+Z undoes the latest action that offers it in a notice. */
export function useUndoKey(): void {
  const store = useStudioStore();
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.altKey || event.shiftKey || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'z') return;
      if (event.target instanceof Element && event.target.closest('textarea, input:not([type=radio], [type=checkbox], [type=range])') !== null) return;
      if (store.getState().undoLast()) event.preventDefault();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [store]);
}
