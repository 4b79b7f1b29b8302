import { ChevronLeft, ChevronRight, X } from 'lucide-react';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import type { Job } from '../store/jobs.ts';
import { Button, IconButton } from './button.tsx';
import { ImageActions } from './image-actions.tsx';
import { ImageView } from './image-view.tsx';
import { useStudio } from './use-studio.ts';

interface ImageDialogProps {
  job: Job;
  onClose(): void;
  /** Null at the end of the list. */
  onPrevious: (() => void) | null;
  onNext: (() => void) | null;
}

/** One image of the gallery over the whole window; arrow keys go on to the next. */
export function ImageDialog({ job, onClose, onPrevious, onNext }: ImageDialogProps) {
  const { t, i18n } = useTranslation();
  const restore = useStudio((state) => state.restore);
  const show = useStudio((state) => state.show);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  const { params } = job;
  if (params === null) return null;
  return (
    <dialog
      ref={dialog}
      aria-label={t('view.alt', { prompt: params.prompt })}
      className="m-0 size-full max-h-none max-w-none bg-canvas p-3 backdrop:bg-veil wide:p-5"
      onClose={onClose}
      onKeyDown={(event) => {
        if (event.target instanceof HTMLInputElement) return;
        if (event.key === 'ArrowLeft') onPrevious?.();
        if (event.key === 'ArrowRight') onNext?.();
      }}
    >
      <div className="flex h-full flex-col gap-3">
        <div className="flex items-start gap-2">
          <div className="min-w-0 flex-1">
            <p className="line-clamp-2 text-sm break-words" title={params.prompt}>
              {params.prompt}
            </p>
            <p className="mt-0.5 flex flex-wrap gap-x-3 text-xs text-muted tabular-nums">
              <span>
                {params.width} × {params.height}
              </span>
              <span>
                {t('detail.seed')} {params.seed}
              </span>
              <span>
                {t('detail.steps')} {params.steps}
              </span>
              <span>{job.checkpoint}</span>
              <span>{new Intl.DateTimeFormat(i18n.language, { dateStyle: 'medium', timeStyle: 'short' }).format(job.createdAtMs)}</span>
            </p>
          </div>
          <IconButton label={t('view.previous')} disabled={onPrevious === null} onClick={() => onPrevious?.()}>
            <ChevronLeft size={20} aria-hidden />
          </IconButton>
          <IconButton label={t('view.next')} disabled={onNext === null} onClick={() => onNext?.()}>
            <ChevronRight size={20} aria-hidden />
          </IconButton>
          <IconButton label={t('view.close')} onClick={() => dialog.current?.close()}>
            <X size={20} aria-hidden />
          </IconButton>
        </div>
        <div className="min-h-0 flex-1">
          {job.isDeleted || job.filename === null ? (
            <div className="flex h-full items-center justify-center rounded-lg bg-sunken text-muted">{t('stage.deleted')}</div>
          ) : (
            <ImageView filename={job.filename} upscaledFilename={job.upscaledFilename} shape={params} prompt={params.prompt} />
          )}
        </div>
        {job.isDeleted ? (
          <Button className="self-center" onClick={() => restore([job.id])}>
            {t('stage.restore')}
          </Button>
        ) : (
          <ImageActions
            job={job}
            params={params}
            onReuse={() => {
              dialog.current?.close();
              show('make');
            }}
          />
        )}
      </div>
    </dialog>
  );
}
