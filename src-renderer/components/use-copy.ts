import { HttpFailure } from '../client/http.ts';
import { useStudio } from './use-studio.ts';

/** Copies to the clipboard and reports the result. */
export function useCopy(): { copyText: (text: string) => void; copyImage: (url: string) => void } {
  const notify = useStudio((state) => state.notify);
  const report = (work: Promise<void>) => {
    work.then(
      () => notify({ tone: 'info', text: 'copied' }),
      (failure: unknown) => notify({ tone: 'error', code: 'clipboard', message: failure instanceof Error ? failure.message : String(failure) }),
    );
  };
  return { copyText: (text) => report(writeText(text)), copyImage: (url) => report(writeImage(url)) };
}

/** Over plain http from another machine there is no clipboard API, only the old copy command. */
async function writeText(text: string): Promise<void> {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  let isWritten = false;
  const onCopy = (event: ClipboardEvent) => {
    event.preventDefault();
    event.clipboardData?.setData('text/plain', text);
    isWritten = event.clipboardData !== null;
  };
  // setting the data in the event works inside a modal dialog, where a selection outside the dialog is inert
  document.addEventListener('copy', onCopy, { once: true, capture: true });
  const isAllowed = document.execCommand('copy');
  document.removeEventListener('copy', onCopy, { capture: true });
  if (!isAllowed || !isWritten) throw new Error('The browser does not allow this page to use the clipboard.');
}

async function writeImage(url: string): Promise<void> {
  const image = fetch(url).then((response) => {
    if (!response.ok) throw new HttpFailure('unknown_image', response.statusText);
    return response.blob();
  });
  await navigator.clipboard.write([new ClipboardItem({ 'image/png': image })]);
}
