import { X } from 'lucide-react';
import { type ReactNode, useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { IconButton } from './button.tsx';

interface PanelDialogProps {
  title: string;
  /** Tailwind's class of the width. */
  width: string;
  onClose(): void;
  children: ReactNode;
}

/** A modal dialog in the middle of the page, with a title and a close button. Keys pressed in it do not reach the page. */
export function PanelDialog({ title, width, onClose, children }: PanelDialogProps) {
  const { t } = useTranslation();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      aria-label={title}
      className={`m-auto max-h-[90dvh] ${width} overflow-y-auto rounded-lg border border-line bg-surface p-5 shadow-float backdrop:bg-veil`}
      onClose={onClose}
      onKeyDown={(event) => event.stopPropagation()}
    >
      <div className="flex flex-col gap-4">
        <div className="flex items-center gap-2">
          <h2 className="mr-auto font-semibold">{title}</h2>
          <IconButton label={t('view.close')} onClick={() => dialog.current?.close()}>
            <X size="1.125rem" aria-hidden />
          </IconButton>
        </div>
        {children}
      </div>
    </dialog>
  );
}
