import { X } from 'lucide-react';
import { type CSSProperties, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { imageUrl } from '../client/http.ts';
import type { Job } from '../store/jobs.ts';
import { fitInto, useBoxSize } from './box-size.ts';
import { IconButton } from './button.tsx';
import { Segmented } from './segmented.tsx';
import { useStudio } from './use-studio.ts';

type Mode = 'slider' | 'side' | 'difference';

/** Two images of the gallery over each other with a line between them, side by side, or their difference. */
export function CompareDialog() {
  const compared = useStudio((state) => state.compared);
  const gallery = useStudio((state) => state.gallery);
  const [first, second] = compared?.map((id) => gallery.find((job) => job.id === id)) ?? [];
  return first?.filename == null || second?.filename == null ? null : <Compare first={first} second={second} />;
}

function Compare({ first, second }: { first: Job; second: Job }) {
  const { t } = useTranslation();
  const compareImages = useStudio((state) => state.compareImages);
  const [mode, setMode] = useState<Mode>('slider');
  const [line, setLine] = useState(0.5);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      aria-label={t('compare.title')}
      className="m-0 size-full max-h-none max-w-none bg-canvas p-3 backdrop:bg-veil wide:p-5"
      onClose={() => compareImages(null)}
    >
      <div className="flex h-full flex-col gap-3">
        <div className="flex items-center gap-3">
          <Segmented<Mode>
            label={t('compare.mode')}
            isLabelHidden
            value={mode}
            options={(['slider', 'side', 'difference'] as const).map((value) => ({ value, label: <span className="px-3">{t(`compare.${value}`)}</span> }))}
            onChange={setMode}
          />
          {mode === 'slider' && (
            <input
              type="range"
              aria-label={t('view.compareLine')}
              min={0}
              max={1}
              step={0.01}
              value={line}
              className="min-w-0 flex-1 accent-accent"
              onChange={(event) => setLine(event.target.valueAsNumber)}
            />
          )}
          <IconButton className="ml-auto" label={t('view.close')} onClick={() => dialog.current?.close()}>
            <X aria-hidden className="size-5" />
          </IconButton>
        </div>
        <Pair first={first} second={second} mode={mode} line={line} />
        <div className="grid grid-cols-2 gap-3 text-xs text-muted tabular-nums">
          <Caption job={first} />
          <Caption job={second} />
        </div>
      </div>
    </dialog>
  );
}

function Pair({ first, second, mode, line }: { first: Job; second: Job; mode: Mode; line: number }) {
  const { ref, box } = useBoxSize<HTMLDivElement>();
  const shape = first.params ?? { width: 1, height: 1 };
  const isSide = mode === 'side';
  const fit = fitInto(isSide ? { width: box.width / 2 - 4, height: box.height } : box, shape);
  return (
    <div ref={ref} className={`min-h-0 flex-1 ${isSide ? 'flex items-center justify-center gap-2' : 'relative'}`}>
      <ComparedImage job={first} className={isSide ? '' : 'absolute top-1/2 left-1/2 -translate-1/2'} style={fit} />
      <ComparedImage
        job={second}
        className={isSide ? '' : `absolute top-1/2 left-1/2 -translate-1/2 ${mode === 'difference' ? 'mix-blend-difference' : ''}`}
        style={{ ...fit, ...(mode === 'slider' ? { clipPath: `inset(0 0 0 ${line * 100}%)` } : {}) }}
      />
    </div>
  );
}

function ComparedImage({ job, className, style }: { job: Job; className: string; style: CSSProperties }) {
  const { t } = useTranslation();
  const filename = job.upscaledFilename ?? job.filename;
  if (filename === null) return null;
  return (
    <img src={imageUrl(filename)} alt={t('view.alt', { prompt: job.params?.prompt ?? '' })} className={`max-w-none object-cover ${className}`} style={style} />
  );
}

function Caption({ job: { params, checkpoint } }: { job: Job }) {
  const { t } = useTranslation();
  if (params === null) return null;
  return (
    <p className="min-w-0">
      <span className="line-clamp-2 text-sm break-words text-ink">{params.prompt}</span>
      {params.width} × {params.height} · {t('detail.seed')} {params.seed} · {t('detail.steps')} {params.steps} · {checkpoint}
    </p>
  );
}
