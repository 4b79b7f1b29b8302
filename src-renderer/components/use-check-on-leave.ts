import { useStudio } from './use-studio.ts';

/** Longer than a click: a message that appears while the button is down would move the click target away from the pointer. */
const CLICK_MS = 200;

/** Checks the form shortly after a field loses focus. */
export function useCheckOnLeave(): () => void {
  const checkFields = useStudio((state) => state.checkFields);
  return () => void setTimeout(checkFields, CLICK_MS);
}
