import { ChevronLeft, ChevronRight, Trash2, Undo2, X } from 'lucide-react';
import { type KeyboardEvent, useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { binImageUrl } from '../client/http.ts';
import type { Job } from '../store/jobs.ts';
import { Button, IconButton } from './button.tsx';
import { ConfirmButton } from './confirm-button.tsx';
import { DeletedAgo } from './deleted-ago.tsx';
import { ImageActions } from './image-actions.tsx';
import { ImageView } from './image-view.tsx';
import { jobTitle } from './job-title.ts';
import { useStudio, useStudioStore } from './use-studio.ts';

interface ImageDialogProps {
  job: Job;
  onClose(): void;
  /** Null at the end of the list. */
  onPrevious: (() => void) | null;
  onNext: (() => void) | null;
}

/** One image of the gallery in a full-size dialog; the arrow keys show the next one. */
export function ImageDialog({ job, onClose, onPrevious, onNext }: ImageDialogProps) {
  const { t, i18n } = useTranslation();
  const { show, openImage, star, remove } = useStudioStore().getState();
  const dialog = useRef<HTMLDialogElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
    // the image rather than the first button: its keys work at once
    frame.current?.focus();
  }, []);
  const { params } = job;
  const shape = params ?? job.upscaleParams;
  if (shape === null) return null;
  const title = jobTitle(t, job);

  const goOn = () => (onNext ?? onPrevious ?? onClose)();
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'ArrowLeft') onPrevious?.();
    if (event.key === 'ArrowRight') onNext?.();
    if (job.isDeleted) return;
    if (event.key === 's') star(job.id, !job.isStarred);
    if (event.key === 'Delete') {
      goOn();
      remove([job.id]);
    }
  };
  return (
    <dialog
      ref={dialog}
      aria-label={t('view.alt', { prompt: title })}
      className="m-0 size-full max-h-none max-w-none bg-canvas p-3 backdrop:bg-veil wide:p-5"
      onClose={onClose}
      onKeyDown={onKeyDown}
    >
      <div className="flex h-full flex-col gap-3">
        <div className="flex items-start gap-2">
          <div className="min-w-0 flex-1">
            <p className="line-clamp-2 text-sm break-words" title={title}>
              {title}
            </p>
            <p className="mt-0.5 flex flex-wrap gap-x-3 text-xs text-muted tabular-nums">
              <span>
                {shape.width} × {shape.height}
              </span>
              {params !== null && (
                <>
                  <span>
                    {t('detail.seed')} {params.seed}
                  </span>
                  <span>
                    {t('detail.steps')} {params.steps}
                  </span>
                </>
              )}
              <span>{job.checkpoint}</span>
              <span>{new Intl.DateTimeFormat(i18n.language, { dateStyle: 'medium', timeStyle: 'short' }).format(job.createdAtMs)}</span>
              {job.isDeleted && <DeletedAgo atMs={job.deletedAtMs} />}
            </p>
          </div>
          <IconButton label={t('view.previous')} disabled={onPrevious === null} onClick={() => onPrevious?.()}>
            <ChevronLeft aria-hidden className="size-5" />
          </IconButton>
          <IconButton label={t('view.next')} disabled={onNext === null} onClick={() => onNext?.()}>
            <ChevronRight aria-hidden className="size-5" />
          </IconButton>
          <IconButton label={t('view.close')} onClick={() => dialog.current?.close()}>
            <X aria-hidden className="size-5" />
          </IconButton>
        </div>
        <div ref={frame} tabIndex={-1} className="min-h-0 flex-1 outline-none">
          {job.filename === null ? null : job.isDeleted ? (
            <BinnedImage filename={job.filename} prompt={title} />
          ) : (
            <ImageView
              filename={job.filename}
              upscaledFilename={job.upscaledFilename}
              scale={params?.upscale || undefined}
              shape={shape}
              prompt={title}
              onSwipe={(step) => (step === 1 ? onNext : onPrevious)?.()}
            />
          )}
        </div>
        {job.isDeleted ? (
          <BinActions job={job} onDone={goOn} />
        ) : (
          <ImageActions
            job={job}
            params={params}
            onReuse={() => {
              show('make');
              openImage(null);
            }}
            onRemove={goOn}
          />
        )}
      </div>
    </dialog>
  );
}

/** An image in the bin, at preview size. */
function BinnedImage({ filename, prompt }: { filename: string; prompt: string }) {
  const { t } = useTranslation();
  return (
    <div className="flex h-full flex-col items-center justify-center gap-2 rounded-lg bg-sunken p-3 text-muted">
      <img src={binImageUrl(filename, 1024)} alt={t('view.alt', { prompt })} className="min-h-0 max-w-full flex-1 object-contain" />
      <p className="text-sm">{t('stage.deleted')}</p>
    </div>
  );
}

function BinActions({ job, onDone }: { job: Job; onDone: () => void }) {
  const { t } = useTranslation();
  const restore = useStudio((state) => state.restore);
  const removePermanently = useStudio((state) => state.removePermanently);
  return (
    <div className="flex flex-wrap justify-center gap-2">
      <Button
        onClick={() => {
          onDone();
          restore([job.id]);
        }}
      >
        <Undo2 aria-hidden className="size-4" />
        {t('stage.restore')}
      </Button>
      <ConfirmButton
        label={t('view.removePermanently')}
        question={t('view.removePermanentlySure')}
        onConfirm={() => {
          onDone();
          removePermanently([job.id]);
        }}
      >
        <Trash2 aria-hidden className="size-4" />
      </ConfirmButton>
    </div>
  );
}
