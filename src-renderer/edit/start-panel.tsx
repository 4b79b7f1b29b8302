import { ImagePlus, Paintbrush, X } from 'lucide-react';
import { useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { uploadUrl } from '../client/http.ts';
import { Button, IconButton } from '../components/button.tsx';
import { useStudio, useStudioStore } from '../components/use-studio.ts';
import { numberOf } from '../store/draft.ts';
import type { Start } from '../store/state.ts';
import { MaskEditor } from './mask-editor.tsx';

/** The image that the next ones start from, and how much of it may change. */
export function StartPanel() {
  const start = useStudio((state) => state.start);
  return start === null ? <PickImage /> : <StartOptions start={start} />;
}

function PickImage() {
  const { t } = useTranslation();
  const { openSource } = useStudioStore().getState();
  const file = useRef<HTMLInputElement>(null);
  return (
    <>
      <Button onClick={() => file.current?.click()}>
        <ImagePlus size="1rem" aria-hidden />
        {t('edit.pick')}
      </Button>
      <input
        ref={file}
        type="file"
        accept="image/*"
        aria-label={t('edit.pick')}
        data-purpose="source"
        hidden
        onChange={(event) => {
          const image = event.target.files?.[0];
          if (image !== undefined) openSource(image);
          event.target.value = '';
        }}
      />
    </>
  );
}

function StartOptions({ start }: { start: Start }) {
  const { t } = useTranslation();
  const steps = useStudio((state) => numberOf(state.draft.steps));
  const isMaskOpen = useStudio((state) => state.isMaskOpen);
  const { editStart, endStart, openMask, setMask } = useStudioStore().getState();
  // less would leave no step to run
  const least = Math.min(1, Math.ceil(100 / Math.max(1, steps - 1)) / 100) || 0.01;
  const strength = Math.max(least, start.strength);
  return (
    <section aria-label={t('edit.start')} className="flex flex-col gap-3 rounded-md border border-line p-3">
      <div className="flex items-center gap-3">
        <img src={uploadUrl(start.id, 128)} alt={t('edit.source')} className="size-16 rounded-sm bg-sunken object-contain" />
        <div className="min-w-0 flex-1 text-sm">
          <p className="font-medium">{t(start.mask === null ? 'edit.startWhole' : 'edit.startMasked')}</p>
          <p className="text-xs text-muted tabular-nums">
            {start.width} × {start.height}
          </p>
        </div>
        <IconButton label={t('edit.end')} onClick={endStart}>
          <X size="1rem" aria-hidden />
        </IconButton>
      </div>
      <label className="flex flex-col gap-1 text-sm">
        <span className="flex justify-between font-medium">
          {t('edit.strength')}
          <span className="text-muted tabular-nums">{Math.round(strength * 100)} %</span>
        </span>
        <input
          type="range"
          className="accent-accent"
          min={least}
          max={1}
          step={0.01}
          value={strength}
          onChange={(event) => editStart({ strength: Number(event.target.value) })}
        />
      </label>
      <div className="flex gap-2">
        <Button className="flex-1" onClick={() => openMask(true)}>
          <Paintbrush size="1rem" aria-hidden />
          {t('edit.repaint')}
        </Button>
        {start.mask !== null && <Button onClick={() => editStart({ mask: null })}>{t('edit.removeMask')}</Button>}
      </div>
      {isMaskOpen && (
        <MaskEditor
          image={start}
          featherPx={start.mask?.featherPx ?? 8}
          onCancel={() => openMask(false)}
          onDone={(mask, featherPx) => {
            openMask(false);
            setMask(mask, featherPx);
          }}
        />
      )}
    </section>
  );
}
