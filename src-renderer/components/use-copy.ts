import { HttpFailure } from '../client/http.ts';
import { useStudio } from './use-studio.ts';

/** Puts something on the clipboard and says so, or says why not. */
export function useCopy(): { copyText: (text: string) => void; copyImage: (url: string) => void } {
  const notify = useStudio((state) => state.notify);
  const told = (work: Promise<void>) => {
    work.then(
      () => notify({ tone: 'info', text: 'copied' }),
      (failure: unknown) => notify({ tone: 'error', code: 'clipboard', message: failure instanceof Error ? failure.message : String(failure) }),
    );
  };
  return { copyText: (text) => told(writeText(text)), copyImage: (url) => told(writeImage(url)) };
}

/** A page that came over plain http from another machine has no clipboard API: the older way is taken there. */
async function writeText(text: string): Promise<void> {
  if (window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'fixed top-0 opacity-0';
  document.body.append(area);
  area.select();
  const isDone = document.execCommand('copy');
  area.remove();
  if (!isDone) throw new Error('The browser does not let this page copy.');
}

async function writeImage(url: string): Promise<void> {
  const image = fetch(url).then((response) => {
    if (!response.ok) throw new HttpFailure('unknown_image', response.statusText);
    return response.blob();
  });
  await navigator.clipboard.write([new ClipboardItem({ 'image/png': image })]);
}
