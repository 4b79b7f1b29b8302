import { ChevronDown, ChevronUp, Pause, Play, TriangleAlert, X } from 'lucide-react';
import { type DragEvent, type ReactNode, useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import type { TextToImageParams } from '#shared/domain/job.ts';
import { imageUrl } from '../client/http.ts';
import { Button, IconButton } from '../components/button.tsx';
import { ConfirmButton } from '../components/confirm-button.tsx';
import { jobTitle } from '../components/job-title.ts';
import { ProgressBar } from '../components/progress-bar.tsx';
import { useStudio } from '../components/use-studio.ts';
import { phaseText } from '../i18n/phase-text.ts';
import { activeJobs, isCancellable, isKnown, isOfWindow, type Job, pastJobs } from '../store/jobs.ts';
import { overallProgress } from '../store/overall-progress.ts';

const MAX_RECENT = 24;
const MAX_ACTIVE = 40;

/** Running and queued jobs, and the latest results. */
export function QueuePanel() {
  const { t } = useTranslation();
  const jobs = useStudio((state) => state.jobs);
  const requests = useStudio((state) => state.requests);
  const isConnected = useStudio((state) => state.connection.state === 'open');
  const isPaused = useStudio((state) => state.info?.queue.paused ?? false);
  const order = useStudio((state) => state.info?.queue.order) ?? noOrder;
  const changeQueue = useStudio((state) => state.changeQueue);
  const active = useMemo(() => activeJobs(jobs, order), [jobs, order]);
  const past = useMemo(() => pastJobs(jobs).filter(({ status }) => status !== 'cancelled'), [jobs]);
  // the window may not know all jobs of a long queue
  const unlisted = order.filter((id) => jobs[id] === undefined).length + Math.max(0, active.length - MAX_ACTIVE);
  const unsent = isConnected ? [] : Object.entries(requests);
  const isEmpty = active.length === 0 && past.length === 0 && unsent.length === 0;
  return (
    <section aria-label={t('queue.label')} className="flex min-h-0 flex-col gap-3">
      <div className="flex min-h-9 flex-wrap items-center gap-1">
        <h2 className="mr-auto text-sm font-semibold">{t('queue.label')}</h2>
        <CancelButtons active={active} />
        <IconButton
          label={isPaused ? t('queue.resume') : t('queue.pause')}
          isOn={isPaused}
          onClick={() => changeQueue({ action: isPaused ? 'resume' : 'pause' })}
        >
          {isPaused ? <Play size="1.125rem" aria-hidden /> : <Pause size="1.125rem" aria-hidden />}
        </IconButton>
      </div>
      {isPaused && <p className="rounded-md bg-accent-soft px-3 py-2 text-xs">{t('queue.paused')}</p>}
      {isEmpty && <p className="text-sm text-muted">{t('queue.empty')}</p>}
      <ul className="flex flex-col gap-1">
        {unsent.map(([requestId, params]) => (
          <UnsentRow key={requestId} requestId={requestId} params={params} />
        ))}
        {active
          .slice(0, MAX_ACTIVE)
          .map((job) => (job.status === 'pending' ? <WaitingRow key={job.id} job={job} order={order} /> : <ActiveRow key={job.id} job={job} />))}
      </ul>
      {unlisted > 0 && <p className="text-xs text-muted">{t('queue.more', { count: unlisted })}</p>}
      <RecentImages past={past.slice(0, MAX_RECENT)} />
    </section>
  );
}

const noOrder: readonly string[] = [];

/** Cancels this browser's jobs; the jobs of other clients are a second, confirmed choice. */
function CancelButtons({ active }: { active: readonly Job[] }) {
  const { t } = useTranslation();
  const isMine = useIsMine();
  const cancelMine = useStudio((state) => state.cancelMine);
  const cancelEverything = useStudio((state) => state.cancelEverything);
  const mine = active.filter((job) => isCancellable(job) && isMine(job));
  const othersWait = active.some((job) => job.status === 'pending' && isKnown(job) && !isMine(job));
  return (
    <>
      {mine.length > 1 && (
        <Button tone="quiet" className="text-muted" onClick={cancelMine}>
          {t(othersWait ? 'queue.clearMine' : 'queue.clear')}
        </Button>
      )}
      {othersWait && <ConfirmButton label={t('queue.clearEverything')} question={t('queue.clearEverythingSure')} onConfirm={cancelEverything} />}
    </>
  );
}

function useIsMine(): (job: Job) => boolean {
  const clientId = useStudio((state) => state.clientId);
  return (job) => job.clients.includes(clientId);
}

/** A request that waits for the connection. */
function UnsentRow({ requestId, params }: { requestId: string; params: TextToImageParams }) {
  const { t } = useTranslation();
  const withdraw = useStudio((state) => state.withdrawRequest);
  return (
    <li className="flex items-center gap-2 rounded-md p-1.5 pr-0.5">
      <div className="min-w-0 flex-1">
        <p className="line-clamp-1 text-sm break-all">{params.prompt}</p>
        <p className="flex flex-wrap gap-x-2 text-xs text-muted">
          <span>{t('queue.notSent')}</span>
          <span className="tabular-nums">{t('queue.seed', { seed: params.seed })}</span>
        </p>
      </div>
      <IconButton label={t('queue.cancelOne', { prompt: params.prompt })} onClick={() => withdraw(requestId)}>
        <X size="1rem" aria-hidden />
      </IconButton>
    </li>
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

/** A queued job. It can be moved by dragging it onto another one, with its buttons, or with Alt and the arrow keys. */
function WaitingRow({ job, order }: { job: Job; order: readonly string[] }) {
  const { t } = useTranslation();
  const changeQueue = useStudio((state) => state.changeQueue);
  const place = order.indexOf(job.id);
  const prompt = jobTitle(t, job);
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
        {/* over the thumbnail, so the rows below stay where they are */}
        <div className="absolute inset-y-1.5 left-1.5 flex w-11 flex-col items-center justify-center rounded-sm bg-surface/90 opacity-0 group-focus-within:opacity-100 group-hover:opacity-100">
          <IconButton className="h-5.5 w-9" label={t('queue.moveUp', { prompt })} disabled={place <= 0} onClick={moveUp}>
            <ChevronUp size="1rem" aria-hidden />
          </IconButton>
          <IconButton className="h-5.5 w-9" label={t('queue.moveDown', { prompt })} disabled={place === -1 || place === order.length - 1} onClick={moveDown}>
            <ChevronDown size="1rem" aria-hidden />
          </IconButton>
        </div>
      </Row>
    </li>
  );
}

/** The common parts of an unfinished job; `children` follow the text. */
function Row({ job, words, children }: { job: Job; words: string; children: ReactNode }) {
  const { t } = useTranslation();
  const isSelected = useStudio((state) => state.selectedId === job.id);
  const select = useStudio((state) => state.select);
  const cancel = useStudio((state) => state.cancel);
  const prompt = jobTitle(t, job);
  const script = isOfWindow(job) ? null : job.clients[0];
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
        <p className="flex flex-wrap gap-x-2 text-xs text-muted">
          <span>{words}</span>
          {job.params !== null && <span className="tabular-nums">{t('queue.seed', { seed: job.params.seed })}</span>}
          {script != null && <span className="min-w-0 truncate">{t('queue.byClient', { client: script })}</span>}
        </p>
        {children}
      </div>
      {isCancellable(job) && (
        <IconButton className="relative" label={t('queue.cancelOne', { prompt })} onClick={() => cancel(job.id)}>
          <X size="1rem" aria-hidden />
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

function RecentImages({ past }: { past: readonly Job[] }) {
  const { t } = useTranslation();
  if (past.length === 0) return null;
  return (
    <>
      <h3 className="text-xs font-medium text-muted">{t('queue.recent')}</h3>
      {/* one row where the panel is below the stage, so that the image keeps its height */}
      <ul className="grid grid-cols-[repeat(auto-fill,minmax(4.5rem,1fr))] gap-1.5 wide:max-full:flex wide:max-full:overflow-x-auto wide:max-full:p-1">
        {past.map((job) => (
          <PastTile key={job.id} job={job} />
        ))}
      </ul>
    </>
  );
}

function PastTile({ job }: { job: Job }) {
  const { t } = useTranslation();
  const isSelected = useStudio((state) => state.selectedId === job.id);
  const select = useStudio((state) => state.select);
  const prompt = jobTitle(t, job);
  return (
    <li className="wide:max-full:w-18 wide:max-full:shrink-0">
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
        ) : (
          <TriangleAlert size="1.125rem" aria-hidden className="text-danger" />
        )}
      </button>
    </li>
  );
}
