import { Paintbrush, X } from 'lucide-react';
import { useTranslation } from 'react-i18next';
import { uploadUrl } from '../client/http.ts';
import { Button, IconButton } from '../components/button.tsx';
import { NumberField } from '../components/number-field.tsx';
import { PickImageButton } from '../components/pick-image-button.tsx';
import { Switch } from '../components/switch.tsx';
import { useStudio, useStudioStore } from '../components/use-studio.ts';
import { numberOf } from '../store/draft.ts';
import type { Start } from '../store/state.ts';
import { MaskEditor } from './mask-editor.tsx';
import { ShareSlider } from './share-slider.tsx';

/** The image that the next ones start from, and how much of it may change. */
export function StartPanel() {
  const start = useStudio((state) => state.start);
  return start === null ? <PickImage /> : <StartOptions start={start} />;
}

function PickImage() {
  const { t } = useTranslation();
  const { openSource } = useStudioStore().getState();
  return <PickImageButton label={t('edit.pick')} purpose="source" onPick={openSource} />;
}

const sides = ['left', 'top', 'right', 'bottom'] as const;
const MAX_EXPANSION_PX = 2048;

/** Pixels to paint beyond the edges of the image. */
function Expansion({ start: { expand, mask } }: { start: Start }) {
  const { t } = useTranslation();
  const { editStart } = useStudioStore().getState();
  const change = (side: (typeof sides)[number], text: string) => {
    const pixels = text === '' ? 0 : numberOf(text);
    if (!Number.isInteger(pixels) || pixels > MAX_EXPANSION_PX) return;
    // what is beyond the edges has nothing to keep
    editStart({ expand: { ...expand, [side]: pixels }, ...(mask === null && pixels > 0 ? { strength: 1 } : {}) });
  };
  return (
    <details>
      <summary className="text-sm">{t('edit.expand')}</summary>
      <div className="grid grid-cols-2 gap-3 pt-2">
        {sides.map((side) => (
          <NumberField
            key={side}
            label={t(`edit.side.${side}`)}
            value={String(expand[side])}
            range={{ min: 0, max: MAX_EXPANSION_PX }}
            step={64}
            onChange={(text) => change(side, text)}
            onLeave={() => {}}
          />
        ))}
      </div>
    </details>
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
        <img src={uploadUrl(start.id, 128)} alt={t('edit.source')} className="size-16 rounded-sm bg-sunken object-contain" onError={endStart} />
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
      <ShareSlider label={t('edit.strength')} value={strength} min={least} step={0.01} onChange={(share) => editStart({ strength: share })} />
      <div className="flex gap-2">
        <Button className="flex-1" onClick={() => openMask(true)}>
          <Paintbrush size="1rem" aria-hidden />
          {t('edit.repaint')}
        </Button>
        {start.mask !== null && <Button onClick={() => editStart({ mask: null })}>{t('edit.removeMask')}</Button>}
      </div>
      {start.mask !== null && (
        <Switch label={t('edit.onlyMasked')} help={t('edit.onlyMaskedHelp')} isOn={start.onlyMasked} onChange={(onlyMasked) => editStart({ onlyMasked })} />
      )}
      <Expansion start={start} />
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
