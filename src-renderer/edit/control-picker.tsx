import { X } from 'lucide-react';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { uploadUrl } from '../client/http.ts';
import { IconButton } from '../components/button.tsx';
import { PickImageButton } from '../components/pick-image-button.tsx';
import { Segmented } from '../components/segmented.tsx';
import { Select } from '../components/select.tsx';
import { useStudio, useStudioStore } from '../components/use-studio.ts';
import type { Control } from '../store/state.ts';
import { ShareSlider } from './share-slider.tsx';

/** The image that guides the next ones through a ControlNet. Nothing is shown where none is installed. */
export function ControlPicker() {
  const { t } = useTranslation();
  const installed = useStudio((state) => state.installedControlNets);
  const control = useStudio((state) => state.control);
  const { refreshControlNets, openControl } = useStudioStore().getState();
  useEffect(refreshControlNets, [refreshControlNets]);
  if (installed.length === 0) return null;
  if (control !== null) return <ControlOptions control={control} models={installed.map(({ name }) => name)} />;
  return <PickImageButton label={t('control.pick')} purpose="control" onPick={openControl} />;
}

function ControlOptions({ control, models }: { control: Control; models: readonly string[] }) {
  const { t } = useTranslation();
  const { editControl, endControl } = useStudioStore().getState();
  return (
    <section aria-label={t('control.title')} className="flex flex-col gap-3 rounded-md border border-line p-3">
      <div className="flex items-center gap-3">
        <img src={uploadUrl(control.id, 128)} alt={t('control.title')} className="size-16 rounded-sm bg-sunken object-contain" onError={endControl} />
        <div className="flex min-w-0 flex-1 flex-col gap-1 text-sm">
          <p className="font-medium">{t('control.title')}</p>
          <Select
            label={t('control.model')}
            value={control.model}
            options={models.map((name) => ({ value: name, label: name }))}
            onChange={(model) => editControl({ model })}
          />
        </div>
        <IconButton label={t('control.end')} onClick={endControl}>
          <X size="1rem" aria-hidden />
        </IconButton>
      </div>
      <Segmented
        label={t('control.preprocess')}
        value={control.preprocess}
        options={[
          { value: 'canny', label: t('control.canny') },
          { value: 'none', label: t('control.none') },
        ]}
        onChange={(preprocess) => editControl({ preprocess })}
      />
      <ShareSlider label={t('control.scale')} value={control.scale} max={2} onChange={(scale) => editControl({ scale })} />
      <ShareSlider
        label={t('control.start')}
        value={control.start}
        onChange={(start) => editControl({ start: Math.min(start, 0.95), end: Math.max(control.end, Math.min(1, start + 0.05)) })}
      />
      <ShareSlider
        label={t('control.stop')}
        value={control.end}
        onChange={(end) => editControl({ end: Math.max(end, 0.05), start: Math.min(control.start, Math.max(0, end - 0.05)) })}
      />
    </section>
  );
}
