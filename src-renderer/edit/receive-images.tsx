import { ImageDown } from 'lucide-react';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useStudio } from '../components/use-studio.ts';

/** Opens an image that is dropped on the window or pasted into it, and asks what to do with it. */
export function ReceiveImages() {
  const { t } = useTranslation();
  const openSource = useStudio((state) => state.openSource);
  const [isOver, setOver] = useState(false);
  useEffect(() => {
    // an image that is dragged out of this page carries a file too
    let isOwnDrag = false;
    const hasFiles = (event: DragEvent) => !isOwnDrag && event.dataTransfer?.types.includes('Files') === true;
    const onDragStart = () => {
      isOwnDrag = true;
    };
    const onDragEnd = () => {
      isOwnDrag = false;
    };
    const onDragOver = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const onDragLeave = (event: DragEvent) => {
      if (event.relatedTarget === null) setOver(false);
    };
    const onDrop = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(false);
      const file = event.dataTransfer?.files[0];
      if (file !== undefined) openSource(file);
    };
    const onPaste = (event: ClipboardEvent) => {
      // a document that is copied as text and as an image is pasted as text
      if (event.clipboardData?.types.includes('text/plain') === true) return;
      const image = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith('image/'));
      if (image === undefined) return;
      event.preventDefault();
      openSource(image);
    };
    window.addEventListener('dragstart', onDragStart);
    window.addEventListener('dragend', onDragEnd);
    window.addEventListener('dragover', onDragOver);
    window.addEventListener('dragleave', onDragLeave);
    window.addEventListener('drop', onDrop);
    window.addEventListener('paste', onPaste);
    return () => {
      window.removeEventListener('dragstart', onDragStart);
      window.removeEventListener('dragend', onDragEnd);
      window.removeEventListener('dragover', onDragOver);
      window.removeEventListener('dragleave', onDragLeave);
      window.removeEventListener('drop', onDrop);
      window.removeEventListener('paste', onPaste);
    };
  }, [openSource]);
  if (!isOver) return null;
  return (
    <div className="pointer-events-none fixed inset-0 z-40 flex items-center justify-center bg-veil p-6">
      <div className="flex flex-col items-center gap-2 rounded-lg bg-surface p-8 text-center">
        <ImageDown size="2rem" aria-hidden className="text-accent" />
        <p className="text-lg font-semibold">{t('drop.title')}</p>
        <p className="text-sm text-muted">{t('drop.help')}</p>
      </div>
    </div>
  );
}
