import { type RefObject, useEffect } from 'react';
import { useStudioStore } from './use-studio.ts';

/** Undo and redo in the prompt box by the store's history: the browser's own is lost whenever the text is set from code. */
export function usePromptUndo(box: RefObject<HTMLTextAreaElement | null>): void {
  const store = useStudioStore();
  useEffect(() => {
    const element = box.current;
    if (element === null) return;

    function run(event: Event, isUndo: boolean): void {
      if (element === null) return;
      event.preventDefault();
      const before = element.value;
      const { undoDraft, redoDraft } = store.getState();
      if (!(isUndo ? undoDraft() : redoDraft())) return;
      // React has not written the new text yet
      requestAnimationFrame(() => {
        const caret = caretAfter(before, element.value);
        element.setSelectionRange(caret, caret);
      });
    }

    // the context menu and shaking a phone send these without a key press
    const onBeforeInput = (event: InputEvent) => {
      if (event.inputType === 'historyUndo') run(event, true);
      if (event.inputType === 'historyRedo') run(event, false);
    };
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.altKey || !(event.ctrlKey || event.metaKey)) return;
      const key = event.key.toLowerCase();
      if (key === 'z') run(event, !event.shiftKey);
      else if (key === 'y' && event.ctrlKey) run(event, false);
    };
    element.addEventListener('beforeinput', onBeforeInput);
    element.addEventListener('keydown', onKeyDown);
    return () => {
      element.removeEventListener('beforeinput', onBeforeInput);
      element.removeEventListener('keydown', onKeyDown);
    };
  }, [box, store]);
}

/** The end of the part that differs. */
function caretAfter(before: string, after: string): number {
  let same = 0;
  while (same < Math.min(before.length, after.length) && before.at(-1 - same) === after.at(-1 - same)) same++;
  return after.length - same;
}
