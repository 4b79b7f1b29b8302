import { ImageDown } from 'lucide-react';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useStudio } from './use-studio.ts';

/** Fills the form with the settings of an image file that is dropped on the window. */
export function DropRecipe() {
  const { t } = useTranslation();
  const reuseFile = useStudio((state) => state.reuseFile);
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
      if (file !== undefined) reuseFile(file);
    };
    window.addEventListener('dragstart', onDragStart);
    window.addEventListener('dragend', onDragEnd);
    window.addEventListener('dragover', onDragOver);
    window.addEventListener('dragleave', onDragLeave);
    window.addEventListener('drop', onDrop);
    return () => {
      window.removeEventListener('dragstart', onDragStart);
      window.removeEventListener('dragend', onDragEnd);
      window.removeEventListener('dragover', onDragOver);
      window.removeEventListener('dragleave', onDragLeave);
      window.removeEventListener('drop', onDrop);
    };
  }, [reuseFile]);
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
