import { Star, Trash2, TriangleAlert } from 'lucide-react';
import { useTranslation } from 'react-i18next';
import { imageUrl } from '../client/http.ts';
import { type BoxSize, useBoxSize } from '../components/box-size.ts';
import { Button, IconButton } from '../components/button.tsx';
import { ProgressBar } from '../components/progress-bar.tsx';
import { TimeLeft } from '../components/time-left.tsx';
import { useStudio, useStudioStore } from '../components/use-studio.ts';
import { phaseText } from '../i18n/phase-text.ts';
import { isOver, type Job } from '../store/jobs.ts';
import { overallProgress } from '../store/overall-progress.ts';

const GAP_PX = 8;

/** All images of the latest submission, from their first previews on; a click opens one. */
export function BatchGrid() {
  const { t } = useTranslation();
  const batch = useStudio((state) => state.batch);
  const jobs = useStudio((state) => state.jobs);
  const { ref, box } = useBoxSize<HTMLDivElement>();
  const found = batch.map(({ jobId }) => (jobId === null ? undefined : jobs[jobId])).filter((job) => job?.isDeleted !== true);
  const shape = found.find((job) => job?.params)?.params ?? { width: 1, height: 1 };
  const columns = columnsFor(found.length, box, shape);
  return (
    <section aria-label={t('batch.label')} className="flex h-[min(150vw,80vh)] min-h-80 flex-col gap-3 wide:h-full wide:min-h-0">
      <BatchProgress jobs={found} />
      <div ref={ref} className="min-h-0 flex-1 overflow-y-auto p-1">
        <ul
          className="grid justify-center gap-2"
          style={{ gridTemplateColumns: `repeat(${columns}, minmax(0, ${tileWidth(found.length, columns, box, shape)}px))` }}
        >
          {found.map((job, index) => (
            <li
              key={batch[index]?.requestId}
              className="group relative overflow-hidden rounded-md bg-sunken inset-ring inset-ring-line"
              style={{ aspectRatio: `${shape.width} / ${shape.height}` }}
            >
              {job !== undefined && <Tile job={job} number={index + 1} />}
            </li>
          ))}
        </ul>
      </div>
    </section>
  );
}

/** One line for the whole batch. */
function BatchProgress({ jobs }: { jobs: ReadonlyArray<Job | undefined> }) {
  const { t } = useTranslation();
  const cancelMine = useStudio((state) => state.cancelMine);
  const done = jobs.filter((job) => job !== undefined && isOver(job)).length;
  const running = jobs.find((job) => job !== undefined && !isOver(job) && job.status !== 'pending');
  const words = t('batch.done', { done, count: jobs.length });
  const fraction = jobs.reduce((sum, job) => sum + (job === undefined ? 0 : isOver(job) ? 1 : overallProgress(job).fraction), 0) / Math.max(1, jobs.length);
  return (
    <div className="flex min-h-9 items-center gap-3">
      <div className="min-w-0 flex-1">
        <p className="mb-1.5 flex justify-between gap-3 text-sm">
          <span className="font-medium tabular-nums">{words}</span>
          <span className="text-muted">{running !== undefined && <TimeLeft job={running} progress={overallProgress(running)} />}</span>
        </p>
        {done < jobs.length && <ProgressBar label={words} fraction={fraction} isMeasured />}
      </div>
      {done < jobs.length && <Button onClick={cancelMine}>{t('stage.cancel')}</Button>}
    </div>
  );
}

function Tile({ job, number }: { job: Job; number: number }) {
  const { t } = useTranslation();
  const { select, star, remove } = useStudioStore().getState();
  const src = job.filename === null ? job.preview : imageUrl(job.filename, 512);
  const state = isOver(job) ? t(`status.${job.status}`) : phaseText(t, job, overallProgress(job));
  const seed = job.params?.seed ?? '';
  return (
    <>
      <button
        type="button"
        aria-label={t('batch.open', { number, seed, state })}
        className="absolute inset-0 flex items-center justify-center text-sm text-muted -outline-offset-2"
        onClick={() => select(job.id)}
      >
        {src === null ? (
          <span className="flex flex-col items-center gap-2 p-2 text-center">
            {job.status === 'failed' && <TriangleAlert size="1.25rem" aria-hidden className="text-danger" />}
            {state}
          </span>
        ) : (
          <img src={src} alt="" className="size-full animate-appear object-cover" />
        )}
      </button>
      <span className="pointer-events-none absolute bottom-1.5 left-1.5 rounded-sm bg-over-image px-1.5 text-xs text-on-image tabular-nums">
        {src !== null && !isOver(job) ? state : seed}
      </span>
      {job.status === 'completed' && (
        <div className="absolute top-1.5 right-1.5 flex gap-0.5 rounded-md bg-surface/90 p-0.5 opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 [@media(hover:none)]:opacity-100">
          <IconButton
            className="size-8!"
            label={job.isStarred ? t('view.unstar') : t('view.star')}
            isOn={job.isStarred}
            onClick={() => star(job.id, !job.isStarred)}
          >
            <Star size="1rem" aria-hidden {...(job.isStarred ? { fill: 'currentColor' } : {})} />
          </IconButton>
          <IconButton className="size-8!" label={t('view.remove')} onClick={() => remove([job.id])}>
            <Trash2 size="1rem" aria-hidden />
          </IconButton>
        </div>
      )}
    </>
  );
}

/** Width of a tile so that all rows fit into the box. */
function tileWidth(count: number, columns: number, box: BoxSize, shape: BoxSize): number {
  const rows = Math.ceil(count / columns);
  const byWidth = (box.width - GAP_PX * columns) / columns;
  const byHeight = (((box.height - GAP_PX * rows) / rows) * shape.width) / shape.height;
  return Math.max(96, Math.floor(Math.min(byWidth, byHeight)));
}

/** The number of columns with the largest tiles. */
function columnsFor(count: number, box: BoxSize, shape: BoxSize): number {
  let best = 1;
  for (let columns = 2; columns <= count; columns++) {
    if (tileWidth(count, columns, box, shape) > tileWidth(count, best, box, shape)) best = columns;
  }
  return best;
}
