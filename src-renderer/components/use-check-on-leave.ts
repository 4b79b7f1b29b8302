import { useStudio } from './use-studio.ts';

/** Longer than a click takes: a message that came while the button is down would move what is clicked away from under the pointer. */
const CLICK_MS = 200;

/** Has the form checked soon after one of its fields was left. */
export function useCheckOnLeave(): () => void {
  const checkFields = useStudio((state) => state.checkFields);
  return () => void setTimeout(checkFields, CLICK_MS);
}
