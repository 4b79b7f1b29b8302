import { LayoutGrid, TriangleAlert, X } from 'lucide-react';
import { type ReactNode, useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { fitInto, useBoxSize } from '../components/box-size.ts';
import { Button } from '../components/button.tsx';
import { ImageActions } from '../components/image-actions.tsx';
import { ImageView } from '../components/image-view.tsx';
import { jobTitle } from '../components/job-title.ts';
import { ProgressBar } from '../components/progress-bar.tsx';
import { TimeLeft } from '../components/time-left.tsx';
import { useStudio, useStudioStore } from '../components/use-studio.ts';
import { errorText } from '../i18n/error-text.ts';
import { phaseText } from '../i18n/phase-text.ts';
import { isCancellable, isKnown, isOver, type Job, pastJobs } from '../store/jobs.ts';
import { overallProgress } from '../store/overall-progress.ts';
import { BatchGrid } from './batch-grid.tsx';
import { Examples } from './examples.tsx';

/** The selected job, from its first preview to the upscaled image, always in the same frame. */
export function Stage() {
  const { t } = useTranslation();
  const job = useStudio((state) => (state.selectedId === null ? undefined : state.jobs[state.selectedId]));
  const isAsked = useStudio((state) => Object.keys(state.requests).length > 0);
  const isBatchShown = useStudio((state) => state.isBatchShown && state.batch.length > 1);
  useArrowKeys();
  if (isBatchShown) return <BatchGrid />;
  if (job === undefined && !isAsked) return <Examples />;
  return (
    <section aria-label={t('stage.label')} className="flex h-[min(130vw,80vh)] min-h-80 flex-col gap-3 wide:h-full wide:min-h-0">
      <div className="min-h-0 flex-1">{job === undefined ? <div className="h-full rounded-lg bg-sunken" /> : <StageImage job={job} />}</div>
      {/* on a phone progress and Cancel are above the image, where they are visible; the height is that of the tallest content */}
      <div className={`flex min-h-32 flex-col justify-center gap-2 ${job !== undefined && !isOver(job) ? 'max-wide:order-first' : ''}`}>
        {job !== undefined && (
          <>
            <ToBatch job={job} />
            <Caption job={job} />
            <Below job={job} />
          </>
        )}
      </div>
    </section>
  );
}

/** The left and right arrow keys show the next and previous image, unless the focused element uses these keys itself. */
function useArrowKeys(): void {
  const store = useStudioStore();
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const step = event.key === 'ArrowLeft' ? -1 : event.key === 'ArrowRight' ? 1 : 0;
      if (step === 0 || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
      if (event.target instanceof Element && event.target.closest('input, textarea, select, dialog') !== null) return;
      const { jobs, selectedId, select } = store.getState();
      const past = pastJobs(jobs);
      const next = past[past.findIndex((job) => job.id === selectedId) + step];
      if (selectedId === null || next === undefined) return;
      event.preventDefault();
      select(next.id);
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [store]);
}

function StageImage({ job }: { job: Job }) {
  const { t } = useTranslation();
  if (job.isDeleted) return <Message>{t('stage.deleted')}</Message>;
  if (job.status === 'cancelled') return <Message>{t('stage.cancelled')}</Message>;
  if (job.failure !== null) {
    return (
      <Message>
        <TriangleAlert size="1.75rem" aria-hidden className="text-danger" />
        <p className="font-medium text-ink">{t('stage.failed')}</p>
        <p className="max-w-prose text-center text-balance">{errorText(t, job.failure)}</p>
      </Message>
    );
  }
  if (job.filename !== null) {
    const { width = 1, height = 1 } = job.params ?? job.upscaleParams ?? {};
    return (
      <ImageView
        filename={job.filename}
        upscaledFilename={job.upscaledFilename}
        scale={job.params?.upscale || undefined}
        shape={{ width, height }}
        prompt={jobTitle(t, job)}
      />
    );
  }
  return <Forming job={job} />;
}

function Message({ children }: { children: ReactNode }) {
  return <div className="flex h-full flex-col items-center justify-center gap-2 rounded-lg bg-sunken p-6 text-muted">{children}</div>;
}

/** The frame of an unfinished image, with its latest preview. */
function Forming({ job }: { job: Job }) {
  const { ref, box } = useBoxSize<HTMLDivElement>();
  const shape = job.params ?? job.upscaleParams ?? { width: 1, height: 1 };
  return (
    <div ref={ref} className="relative size-full overflow-hidden">
      {job.preview === null ? (
        <div className="absolute top-1/2 left-1/2 -translate-1/2 animate-pulse rounded-md border border-line bg-sunken" style={fitInto(box, shape)} />
      ) : (
        <img src={job.preview} alt="" className="absolute top-1/2 left-1/2 max-w-none -translate-1/2 animate-appear rounded-md" style={fitInto(box, shape)} />
      )}
    </div>
  );
}

/** Back to all images of the batch that this job belongs to. */
function ToBatch({ job }: { job: Job }) {
  const { t } = useTranslation();
  const batch = useStudio((state) => state.batch);
  const showBatch = useStudio((state) => state.showBatch);
  if (batch.length < 2 || !batch.some(({ jobId }) => jobId === job.id)) return null;
  return (
    <Button tone="quiet" className="-ml-3 self-start" onClick={showBatch}>
      <LayoutGrid size="1rem" aria-hidden />
      {t('batch.back', { count: batch.length })}
    </Button>
  );
}

function Caption({ job }: { job: Job }) {
  const { t } = useTranslation();
  if (job.params === null) return <p className="text-sm text-muted">{jobTitle(t, job)}</p>;
  const { prompt, width, height, seed, steps, model_type } = job.params;
  return (
    <div className="min-w-0">
      <p className="line-clamp-2 text-sm break-words" title={prompt}>
        {prompt}
      </p>
      <p className="mt-0.5 flex flex-wrap gap-x-3 text-xs text-muted tabular-nums">
        <span>
          {width} × {height}
        </span>
        <span>
          {t('detail.seed')} {seed}
        </span>
        <span>
          {t('detail.steps')} {steps}
        </span>
        <span>{job.checkpoint ?? model_type}</span>
        {job.cached && <span>{t('stage.cached')}</span>}
      </p>
    </div>
  );
}

/** Progress of the job, or the actions for its image. */
function Below({ job }: { job: Job }) {
  const { t } = useTranslation();
  const cancel = useStudio((state) => state.cancel);
  const retry = useStudio((state) => state.retry);
  const restore = useStudio((state) => state.restore);
  if (job.isDeleted) {
    return (
      <Button className="self-start" onClick={() => restore([job.id])}>
        {t('stage.restore')}
      </Button>
    );
  }
  if (!isOver(job)) {
    const progress = overallProgress(job);
    const words = phaseText(t, job, progress);
    return (
      <div className="flex items-center gap-3">
        <div className="min-w-0 flex-1">
          <p className="mb-1.5 flex justify-between gap-3 text-sm">
            <span className="font-medium">{words}</span>
            <span className="text-muted">
              <TimeLeft job={job} progress={progress} />
            </span>
          </p>
          <ProgressBar label={words} fraction={progress.fraction} isMeasured={progress.isMeasured} />
        </div>
        {isCancellable(job) && (
          <Button onClick={() => cancel(job.id)}>
            <X size="1rem" aria-hidden />
            {t('stage.cancel')}
          </Button>
        )}
      </div>
    );
  }
  if (job.status === 'completed') return isKnown(job) ? <ImageActions job={job} params={job.params} /> : null;
  return !isKnown(job) ? null : (
    <Button className="self-start" onClick={() => retry(job.id)}>
      {t('stage.retry')}
    </Button>
  );
}
