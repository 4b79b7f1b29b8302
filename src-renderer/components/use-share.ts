import { imageUrl } from '../client/http.ts';
import { useStudioStore } from './use-studio.ts';

/** Opens the system's share sheet with an image's file. */
export function useShare(): (filename: string) => void {
  const store = useStudioStore();
  return (filename) => {
    const share = async () => {
      const blob = await (await fetch(imageUrl(filename))).blob();
      await navigator.share({ files: [new File([blob], filename, { type: blob.type })] });
    };
    share().catch((thrown: unknown) => {
      // closing the sheet is no failure
      if (thrown instanceof DOMException && thrown.name === 'AbortError') return;
      store.getState().notify({ tone: 'error', code: 'other', message: thrown instanceof Error ? thrown.message : String(thrown) });
    });
  };
}
