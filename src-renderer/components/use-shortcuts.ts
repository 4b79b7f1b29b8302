import { useEffect } from 'react';
import { useStudioStore } from './use-studio.ts';

/**
 * Single-letter shortcuts that work on every screen. Text fields, open dialogs, and anything that has used the key come first. They can be switched off
 * in the settings (WCAG 2.1.4).
 */
export function useShortcuts(onHelp: () => void): void {
  const store = useStudioStore();
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !store.getState().settings.hasLetterKeys) return;
      if (event.target instanceof Element && event.target.closest('textarea, input:not([type=radio], [type=checkbox], [type=range]), select, dialog') !== null)
        return;
      const { screen, selectedId, jobs, show, vary, star, remove } = store.getState();
      const job = screen === 'make' && selectedId !== null ? jobs[selectedId] : undefined;
      const isImage = job?.status === 'completed' && !job.isDeleted;
      const actions: Record<string, (() => void) | undefined> = {
        '?': onHelp,
        g: () => show('gallery'),
        m: () => show('make'),
        '/': () => focusSearch(() => show('gallery')),
        v: isImage ? () => vary(job.id) : undefined,
        s: isImage ? () => star(job.id, !job.isStarred) : undefined,
        Delete: isImage ? () => remove([job.id]) : undefined,
      };
      const action = actions[event.key];
      if (action === undefined) return;
      event.preventDefault();
      action();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [store, onHelp]);
}

/** The search field exists once the gallery is rendered. */
function focusSearch(showGallery: () => void): void {
  showGallery();
  requestAnimationFrame(() => document.querySelector<HTMLInputElement>('[data-shortcut=search]')?.focus());
}
