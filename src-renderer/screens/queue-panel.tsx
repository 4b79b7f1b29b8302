import { ChevronDown, ChevronUp, Pause, Play, TriangleAlert, X } from 'lucide-react';
import { type DragEvent, type ReactNode, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { imageUrl } from '../client/http.ts';
import { Button, IconButton } from '../components/button.tsx';
import { ProgressBar } from '../components/progress-bar.tsx';
import { useStudio } from '../components/use-studio.ts';
import { phaseText } from '../i18n/phase-text.ts';
import { activeJobs, isCancellable, isOfWindow, type Job, pastJobs } from '../store/jobs.ts';
import { overallProgress } from '../store/overall-progress.ts';

const RECENT = 24;
/** More rows than one can oversee help nobody; the rest is told in a number. */
const SHOWN_ACTIVE = 40;

/** What runs and waits, and what was made last. */
export function QueuePanel() {
  const { t } = useTranslation();
  const jobs = useStudio((state) => state.jobs);
  const isPaused = useStudio((state) => state.info?.queue.paused ?? false);
  const order = useStudio((state) => state.info?.queue.order);
  const changeQueue = useStudio((state) => state.changeQueue);
  const cancelAll = useStudio((state) => state.cancelAll);
  const active = useMemo(() => activeJobs(jobs, order ?? []), [jobs, order]);
  const inWork = useStudio((state) => (state.info === null ? 0 : state.info.queue.waiting + state.info.queue.running));
  const more = Math.max(active.length, inWork) - Math.min(active.length, SHOWN_ACTIVE);
  const past = useMemo(() => pastJobs(jobs).slice(0, RECENT), [jobs]);
  return (
    <section aria-label={t('queue.label')} className="flex min-h-0 flex-col gap-3">
      <div className="flex min-h-9 items-center gap-1">
        <h2 className="mr-auto text-sm font-semibold">{t('queue.label')}</h2>
        {(active.length > 1 || inWork > 1) && (
          <Button tone="quiet" className="text-muted" onClick={cancelAll}>
            {t('queue.clear')}
          </Button>
        )}
        <IconButton
          label={isPaused ? t('queue.resume') : t('queue.pause')}
          isOn={isPaused}
          onClick={() => changeQueue({ action: isPaused ? 'resume' : 'pause' })}
        >
          {isPaused ? <Play size={18} aria-hidden /> : <Pause size={18} aria-hidden />}
        </IconButton>
      </div>
      {isPaused && <p className="rounded-md bg-accent-soft px-3 py-2 text-xs">{t('queue.paused')}</p>}
      {active.length === 0 && past.length === 0 && <p className="text-sm text-muted">{t('queue.empty')}</p>}
      <ul className="flex flex-col gap-1">
        {active
          .slice(0, SHOWN_ACTIVE)
          .map((job) => (job.status === 'pending' ? <WaitingRow key={job.id} job={job} order={order ?? []} /> : <ActiveRow key={job.id} job={job} />))}
      </ul>
      {more > 0 && <p className="text-xs text-muted">{t('queue.more', { count: more })}</p>}
      {past.length > 0 && (
        <>
          <h3 className="text-xs font-medium text-muted">{t('queue.recent')}</h3>
          <ul className="grid grid-cols-[repeat(auto-fill,minmax(4.5rem,1fr))] gap-1.5">
            {past.map((job) => (
              <PastTile key={job.id} job={job} />
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function ActiveRow({ job }: { job: Job }) {
  const { t } = useTranslation();
  const progress = overallProgress(job);
  const words = phaseText(t, job, progress);
  return (
    <li>
      <Row job={job} words={words}>
        <ProgressBar label={words} fraction={progress.fraction} isMeasured={progress.isMeasured} />
      </Row>
    </li>
  );
}

const DRAGGED_JOB = 'application/x-zimage-job';

/** A waiting job can be put elsewhere in the queue: by dragging it onto another one, or with its two buttons. */
function WaitingRow({ job, order }: { job: Job; order: readonly string[] }) {
  const { t } = useTranslation();
  const changeQueue = useStudio((state) => state.changeQueue);
  const place = order.indexOf(job.id);
  const prompt = job.params?.prompt ?? t('queue.unknownPrompt');
  const moveBefore = (id: string, before: string | null) => changeQueue({ action: 'move', job_id: id, before });
  const moveUp = () => place > 0 && moveBefore(job.id, order[place - 1] ?? null);
  const moveDown = () => place !== -1 && place < order.length - 1 && moveBefore(job.id, order[place + 2] ?? null);
  const isDraggedJob = (event: DragEvent) => event.dataTransfer.types.includes(DRAGGED_JOB);
  return (
    <li
      draggable
      onKeyDown={(event) => {
        if (!event.altKey || (event.key !== 'ArrowUp' && event.key !== 'ArrowDown')) return;
        event.preventDefault();
        if (event.key === 'ArrowUp') moveUp();
        else moveDown();
      }}
      onDragStart={(event) => event.dataTransfer.setData(DRAGGED_JOB, job.id)}
      onDragOver={(event) => isDraggedJob(event) && event.preventDefault()}
      onDrop={(event) => {
        const dragged = event.dataTransfer.getData(DRAGGED_JOB);
        if (dragged === '' || dragged === job.id) return;
        event.preventDefault();
        const isFromAbove = order.indexOf(dragged) < place;
        moveBefore(dragged, isFromAbove ? (order[place + 1] ?? null) : job.id);
      }}
    >
      <Row job={job} words={phaseText(t, job, overallProgress(job))}>
        <div className="relative -ml-1.5 flex h-0 items-center opacity-0 group-focus-within:h-6 group-focus-within:opacity-100 group-hover:h-6 group-hover:opacity-100">
          <IconButton className="size-6" label={t('queue.moveUp', { prompt })} disabled={place <= 0} onClick={moveUp}>
            <ChevronUp size={16} aria-hidden />
          </IconButton>
          <IconButton className="size-6" label={t('queue.moveDown', { prompt })} disabled={place === -1 || place === order.length - 1} onClick={moveDown}>
            <ChevronDown size={16} aria-hidden />
          </IconButton>
        </div>
      </Row>
    </li>
  );
}

/** What all jobs that are not over look like; `children` stand under the words. */
function Row({ job, words, children }: { job: Job; words: string; children: ReactNode }) {
  const { t } = useTranslation();
  const isSelected = useStudio((state) => state.selectedId === job.id);
  const select = useStudio((state) => state.select);
  const cancel = useStudio((state) => state.cancel);
  const prompt = job.params?.prompt ?? t('queue.unknownPrompt');
  const script = isOfWindow(job) ? null : job.client;
  return (
    <div className={`group relative flex items-center gap-2 rounded-md p-1.5 pr-0.5 ${isSelected ? 'bg-accent-soft' : 'hover:bg-hover'}`}>
      <Thumbnail job={job} />
      <div className="min-w-0 flex-1">
        <button
          type="button"
          aria-current={isSelected}
          className="line-clamp-1 w-full break-all text-left text-sm after:absolute after:inset-0 after:rounded-md"
          onClick={() => select(job.id)}
        >
          {prompt}
        </button>
        <p className="truncate text-xs text-muted">
          {words}
          {script !== null && ` · ${t('queue.byClient', { client: script })}`}
        </p>
        {children}
      </div>
      {isCancellable(job) && (
        <IconButton className="relative" label={t('queue.cancelOne', { prompt })} onClick={() => cancel(job.id)}>
          <X size={16} aria-hidden />
        </IconButton>
      )}
    </div>
  );
}

function Thumbnail({ job }: { job: Job }) {
  const src = job.filename === null ? job.preview : imageUrl(job.filename, 128);
  return (
    <div className="size-11 shrink-0 overflow-hidden rounded-sm bg-sunken">{src !== null && <img src={src} alt="" className="size-full object-cover" />}</div>
  );
}

function PastTile({ job }: { job: Job }) {
  const { t } = useTranslation();
  const isSelected = useStudio((state) => state.selectedId === job.id);
  const select = useStudio((state) => state.select);
  const prompt = job.params?.prompt ?? t('queue.unknownPrompt');
  return (
    <li>
      <button
        type="button"
        aria-current={isSelected}
        aria-label={`${t('queue.show', { prompt })} (${t(`status.${job.status}`)})`}
        title={prompt}
        className="flex aspect-square w-full items-center justify-center overflow-hidden rounded-sm bg-sunken text-muted ring-accent ring-offset-2 ring-offset-surface aria-[current=true]:ring-2"
        onClick={() => select(job.id)}
      >
        {job.filename !== null ? (
          <img src={imageUrl(job.filename, 256)} alt="" loading="lazy" className="size-full object-cover" />
        ) : job.status === 'failed' ? (
          <TriangleAlert size={18} aria-hidden className="text-danger" />
        ) : (
          <X size={18} aria-hidden />
        )}
      </button>
    </li>
  );
}
