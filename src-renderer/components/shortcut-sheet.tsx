import { X } from 'lucide-react';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { IconButton } from './button.tsx';
import { Switch } from './switch.tsx';
import { useStudio } from './use-studio.ts';

const shortcuts = [
  ['make', 'Ctrl+Enter'],
  ['undo', 'Ctrl+Z'],
  ['history', '↑'],
  ['screenMake', 'M'],
  ['screenGallery', 'G'],
  ['search', '/'],
  ['neighbours', '← →'],
  ['variation', 'V'],
  ['star', 'S'],
  ['remove', 'Delete'],
  ['compare', 'C'],
  ['zoom', '+ − 0'],
  ['select', 'X'],
  ['selectAll', 'Ctrl+A'],
  ['close', 'Esc'],
  ['help', '?'],
] as const;

/** All keyboard shortcuts, and the switch for single letters. */
export function ShortcutSheet({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const hasLetterKeys = useStudio((state) => state.settings.hasLetterKeys);
  const changeSettings = useStudio((state) => state.changeSettings);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      aria-label={t('shortcut.title')}
      className="m-auto max-h-[90dvh] w-[min(32rem,calc(100vw-2rem))] overflow-y-auto rounded-lg border border-line bg-surface p-5 shadow-float backdrop:bg-veil"
      onClose={onClose}
    >
      <div className="mb-3 flex items-center justify-between">
        <h2 className="font-semibold">{t('shortcut.title')}</h2>
        <IconButton label={t('view.close')} onClick={() => dialog.current?.close()}>
          <X aria-hidden className="size-5" />
        </IconButton>
      </div>
      <dl className="grid gap-x-8 text-sm wide:grid-cols-2">
        {shortcuts.map(([name, keys]) => (
          <div key={name} className="flex min-h-9 items-center justify-between gap-3 border-b border-line">
            <dt>{t(`shortcut.${name}`)}</dt>
            <dd>
              <kbd className="rounded-sm bg-sunken px-1.5 py-0.5 font-mono text-xs whitespace-nowrap">{keys}</kbd>
            </dd>
          </div>
        ))}
      </dl>
      <div className="mt-4">
        <Switch
          label={t('shortcut.letters')}
          help={t('shortcut.lettersHelp')}
          isOn={hasLetterKeys}
          onChange={(isOn) => changeSettings({ hasLetterKeys: isOn })}
        />
      </div>
    </dialog>
  );
}
