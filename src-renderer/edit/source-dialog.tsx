import { Expand, ImagePlus, Paintbrush, ScrollText } from 'lucide-react';
import { useTranslation } from 'react-i18next';
import { uploadUrl } from '../client/http.ts';
import { Button } from '../components/button.tsx';
import { PanelDialog } from '../components/panel-dialog.tsx';
import { useStudio, useStudioStore } from '../components/use-studio.ts';
import type { Source } from '../store/state.ts';

/** Asks what to do with an image from outside. It shows what the server decoded, never the file itself. */
export function SourceDialog() {
  const source = useStudio((state) => state.source);
  return source === null ? null : <Question key={source.id} source={source} />;
}

function Question({ source: { id, width, height, settings } }: { source: Source }) {
  const { t } = useTranslation();
  const { closeSource, reuseSource, startFromSource, upscale, show } = useStudioStore().getState();
  const startUpscale = (scale: 2 | 4) => {
    upscale({ image: id, scale });
    show('make');
    closeSource();
  };
  return (
    <PanelDialog title={t('edit.title')} width="w-[min(28rem,calc(100vw-2rem))]" onClose={closeSource}>
      <img src={uploadUrl(id, 768)} alt={t('edit.source')} className="max-h-[45dvh] self-center rounded-md bg-sunken object-contain" />
      <p className="text-center text-xs text-muted tabular-nums">
        {width} × {height}
      </p>
      <div className="grid grid-cols-2 gap-2">
        <Button tone="primary" onClick={() => startFromSource(false)}>
          <ImagePlus size="1rem" aria-hidden />
          {t('edit.startFrom')}
        </Button>
        <Button onClick={() => startFromSource(true)}>
          <Paintbrush size="1rem" aria-hidden />
          {t('edit.repaint')}
        </Button>
        {([2, 4] as const).map((scale) => (
          <Button key={scale} onClick={() => startUpscale(scale)}>
            <Expand size="1rem" aria-hidden />
            {t('edit.upscale', { scale, width: width * scale, height: height * scale })}
          </Button>
        ))}
        {settings !== null && (
          <Button className="col-span-2" onClick={reuseSource}>
            <ScrollText size="1rem" aria-hidden />
            {t('edit.reuse')}
          </Button>
        )}
      </div>
    </PanelDialog>
  );
}
