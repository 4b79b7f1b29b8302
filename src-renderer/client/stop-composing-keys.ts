/**
 * Keeps key presses that belong to an input method (Enter to confirm, Escape to cancel, arrows between candidates) from every handler of the page.
 * Safari ends the composition before it sends the confirming key, which only `keyCode` 229 shows.
 */
export function stopComposingKeys(page: Pick<Window, 'addEventListener'>): void {
  const stop = (event: KeyboardEvent) => {
    if (event.isComposing || event.keyCode === 229) event.stopImmediatePropagation();
  };
  page.addEventListener('keydown', stop, { capture: true });
  page.addEventListener('keyup', stop, { capture: true });
}
