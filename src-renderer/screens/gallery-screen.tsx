import { useVirtualizer } from '@tanstack/react-virtual';
import { Check, Search, Star, Trash2, Undo2 } from 'lucide-react';
import { type KeyboardEvent, memo, type ReactNode, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { modelTypeSchema } from '#shared/domain/job.ts';
import { imageUrl } from '../client/http.ts';
import { Button, IconButton } from '../components/button.tsx';
import { useBoxSize } from '../components/fitted.ts';
import { PictureDialog } from '../components/picture-dialog.tsx';
import { Segmented } from '../components/segmented.tsx';
import { useStudio, useStudioStore } from '../components/use-studio.ts';
import type { Job } from '../store/jobs.ts';

const SMALLEST_TILE_PX = 168;
const GAP_PX = 8;
const SEARCH_DELAY_MS = 200;

/** Everything that was made on this machine. */
export function GalleryScreen() {
  const { t } = useTranslation();
  const gallery = useStudio((state) => state.gallery);
  const [openId, setOpenId] = useState<string | null>(null);
  const openIndex = gallery.findIndex((job) => job.id === openId);
  const open = gallery[openIndex];
  const goTo = (index: number) => {
    const job = gallery[index];
    return job === undefined ? null : () => setOpenId(job.id);
  };
  return (
    <section aria-label={t('gallery.label')} className="flex h-full flex-col">
      <Toolbar />
      <Grid onOpen={setOpenId} />
      {open !== undefined && <PictureDialog job={open} onClose={() => setOpenId(null)} onPrevious={goTo(openIndex - 1)} onNext={goTo(openIndex + 1)} />}
    </section>
  );
}

function Toolbar() {
  const { t } = useTranslation();
  const filter = useStudio((state) => state.galleryFilter);
  const filterGallery = useStudio((state) => state.filterGallery);
  const picked = useStudio((state) => state.picked);
  const [query, setQuery] = useState(filter.query ?? '');
  const asked = useRef(filter.query ?? '');
  useEffect(() => {
    const timer = setTimeout(() => {
      if (query === asked.current) return;
      asked.current = query;
      filterGallery({ query: query.trim() === '' ? undefined : query });
    }, SEARCH_DELAY_MS);
    return () => clearTimeout(timer);
  }, [query, filterGallery]);
  const part = filter.deleted === true ? 'bin' : filter.starred === true ? 'starred' : 'all';
  if (picked.size > 0) return <PickedBar />;
  return (
    <div className="flex flex-wrap items-center gap-2 border-b border-line bg-surface px-4 py-3">
      <label className="relative min-w-52 flex-1 wide:max-w-80">
        <span className="sr-only">{t('gallery.search')}</span>
        <Search size={16} aria-hidden className="pointer-events-none absolute top-1/2 left-2.5 -translate-y-1/2 text-muted" />
        <input
          type="search"
          value={query}
          placeholder={t('gallery.search')}
          className="min-h-9 w-full rounded-md border border-control bg-surface pr-2 pl-8 text-sm hover:border-ink"
          onChange={(event) => setQuery(event.target.value)}
        />
      </label>
      <div className="w-64">
        <Segmented
          label={t('gallery.label')}
          isLabelHidden
          value={part}
          options={[
            { value: 'all', label: t('gallery.all') },
            { value: 'starred', label: t('gallery.starred') },
            { value: 'bin', label: t('gallery.bin') },
          ]}
          onChange={(value) => filterGallery({ starred: value === 'starred' ? true : undefined, deleted: value === 'bin' ? true : undefined })}
        />
      </div>
      <label>
        <span className="sr-only">{t('options.model')}</span>
        <select
          className="min-h-9 rounded-md border border-control bg-surface px-2 text-sm hover:border-ink"
          value={filter.model ?? ''}
          onChange={(event) => filterGallery({ model: modelTypeSchema.optional().catch(undefined).parse(event.target.value) })}
        >
          <option value="">{t('gallery.anyModel')}</option>
          {modelTypeSchema.options.map((model) => (
            <option key={model}>{model}</option>
          ))}
        </select>
      </label>
    </div>
  );
}

function PickedBar() {
  const { t } = useTranslation();
  const picked = useStudio((state) => state.picked);
  const isBin = useStudio((state) => state.galleryFilter.deleted === true);
  const { star, remove, restore, pick } = useStudioStore().getState();
  const ids = [...picked];
  return (
    <div className="flex flex-wrap items-center gap-2 border-b border-line bg-accent-soft px-4 py-3">
      <p className="mr-auto text-sm font-medium">{t('gallery.picked', { count: picked.size })}</p>
      {isBin ? (
        <Button
          onClick={() => {
            restore(ids);
            pick([]);
          }}
        >
          <Undo2 size={16} aria-hidden />
          {t('stage.restore')}
        </Button>
      ) : (
        <>
          <IconButton label={t('view.star')} onClick={() => ids.forEach((id) => void star(id, true))}>
            <Star size={18} aria-hidden />
          </IconButton>
          <Button tone="danger" onClick={() => remove(ids)}>
            <Trash2 size={16} aria-hidden />
            {t('view.remove')}
          </Button>
        </>
      )}
      <Button tone="quiet" onClick={() => pick([])}>
        {t('gallery.unpick')}
      </Button>
    </div>
  );
}

/** Only the rows on the screen exist; the next page is asked for before its end comes into view. */
function Grid({ onOpen }: { onOpen: (id: string) => void }) {
  const { t } = useTranslation();
  const gallery = useStudio((state) => state.gallery);
  const loadMore = useStudio((state) => state.loadMoreGallery);
  const state = useStudio((studio) => studio.galleryState);
  const { ref, box } = useBoxSize<HTMLDivElement>();
  const [focused, setFocused] = useState(0);
  const width = box.width - 32;
  const columns = Math.max(2, Math.floor((width + GAP_PX) / (SMALLEST_TILE_PX + GAP_PX)));
  const tilePx = (width - GAP_PX * (columns - 1)) / columns;
  const rowCount = Math.ceil(gallery.length / columns);
  const rows = useVirtualizer({
    count: rowCount,
    getScrollElement: () => ref.current,
    estimateSize: () => tilePx + GAP_PX,
    overscan: 2,
    paddingStart: 16,
    paddingEnd: 16,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another tile size needs new row heights
  useEffect(() => rows.measure(), [tilePx, rows]);

  const shownRows = rows.getVirtualItems();
  const isNearEnd = (shownRows.at(-1)?.index ?? 0) >= rowCount - 6;
  useEffect(() => {
    if (isNearEnd && state === 'idle') loadMore();
  }, [isNearEnd, state, loadMore]);

  const moveFocus = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -gallery.length, End: gallery.length };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.min(gallery.length - 1, Math.max(0, focused + step));
    setFocused(next);
    rows.scrollToIndex(Math.floor(next / columns));
    requestAnimationFrame(() => ref.current?.querySelector<HTMLButtonElement>(`[data-index="${next}"]`)?.focus());
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: arrow keys go from picture to picture
    <div ref={ref} className="relative min-h-0 flex-1 overflow-y-auto px-4" onKeyDown={moveFocus}>
      {gallery.length === 0 ? (
        <Empty />
      ) : (
        <ul aria-label={t('gallery.label')} className="relative" style={{ height: rows.getTotalSize() }}>
          {shownRows.flatMap((row) =>
            gallery.slice(row.index * columns, (row.index + 1) * columns).map((job, column) => {
              const index = row.index * columns + column;
              return (
                <li
                  key={job.id}
                  className="absolute top-0 left-0"
                  style={{ width: tilePx, height: tilePx, transform: `translate(${column * (tilePx + GAP_PX)}px, ${row.start}px)` }}
                >
                  <Tile job={job} index={index} isReachable={index === focused} onFocus={setFocused} onOpen={onOpen} />
                </li>
              );
            }),
          )}
        </ul>
      )}
    </div>
  );
}

interface TileProps {
  job: Job;
  index: number;
  /** Only one tile is a stop of the Tab key; arrow keys go on from there. */
  isReachable: boolean;
  onFocus: (index: number) => void;
  onOpen: (id: string) => void;
}

/** Scrolling renders the grid again, but not the tiles that stay. */
const Tile = memo(function Tile({ job, index, isReachable, onFocus, onOpen }: TileProps) {
  const { t } = useTranslation();
  const isPicked = useStudio((state) => state.picked.has(job.id));
  const store = useStudioStore();
  const { pick, star, remove } = store.getState();
  const prompt = job.params?.prompt ?? '';
  const togglePick = () => {
    const { picked } = store.getState();
    pick(isPicked ? [...picked].filter((id) => id !== job.id) : [...picked, job.id]);
  };
  const tabIndex = isReachable ? 0 : -1;
  return (
    <div className={`group relative size-full overflow-hidden rounded-md bg-sunken ${isPicked ? 'ring-3 ring-accent' : ''}`}>
      <button
        type="button"
        data-index={index}
        tabIndex={tabIndex}
        aria-label={t('gallery.open', { prompt })}
        className="size-full -outline-offset-2"
        onFocus={() => onFocus(index)}
        onClick={(event) => (event.ctrlKey || event.metaKey || store.getState().picked.size > 0 ? togglePick() : onOpen(job.id))}
        onKeyDown={(event) => {
          if (event.key === 'x') togglePick();
          else if (event.key === 's' && !job.isDeleted) star(job.id, !job.isStarred);
          else if (event.key === 'Delete' && !job.isDeleted) remove([job.id]);
        }}
      >
        {job.filename === null || job.isDeleted ? (
          <span className="line-clamp-5 break-words p-3 text-left text-xs text-muted">{prompt}</span>
        ) : (
          <img src={imageUrl(job.filename, 384)} alt="" loading="lazy" decoding="async" className="size-full object-cover" />
        )}
      </button>
      {!job.isDeleted && (
        <p className="pointer-events-none absolute inset-x-0 bottom-0 line-clamp-2 break-words bg-over-picture px-2 py-1 text-xs text-on-picture opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100">
          {prompt}
        </p>
      )}
      {job.isStarred && <Star size={16} aria-hidden fill="currentColor" className="absolute top-2 right-2 text-on-picture drop-shadow-[0_0_2px_#000]" />}
      <button
        type="button"
        tabIndex={tabIndex}
        aria-label={t('gallery.pick', { prompt })}
        aria-pressed={isPicked}
        className="absolute top-1 left-1 flex size-8 items-center justify-center opacity-0 group-focus-within:opacity-100 group-hover:opacity-100 aria-pressed:opacity-100"
        onClick={togglePick}
      >
        <span
          className={`flex size-5 items-center justify-center rounded-full border-2 border-on-picture ${isPicked ? 'bg-accent text-on-accent' : 'bg-over-picture'}`}
        >
          {isPicked && <Check size={12} strokeWidth={3} aria-hidden />}
        </span>
      </button>
    </div>
  );
});

function Empty() {
  const { t } = useTranslation();
  const state = useStudio((studio) => studio.galleryState);
  const filter = useStudio((studio) => studio.galleryFilter);
  const { show, filterGallery, refreshGallery } = useStudioStore().getState();
  if (state === 'loading') return <EmptyText title={t('gallery.loading')} />;
  if (state === 'failed') return <EmptyText title={t('gallery.failed')} action={<Button onClick={refreshGallery}>{t('gallery.again')}</Button>} />;
  if (filter.query !== undefined || filter.model !== undefined || filter.starred === true) {
    const showAll = () => filterGallery({ query: undefined, model: undefined, starred: undefined });
    return (
      <EmptyText title={t('gallery.nothingFound')} lead={t('gallery.nothingFoundLead')} action={<Button onClick={showAll}>{t('gallery.showAll')}</Button>} />
    );
  }
  if (filter.deleted === true) return <EmptyText title={t('gallery.emptyBin')} lead={t('gallery.emptyBinLead')} />;
  const toMake = (
    <Button tone="primary" onClick={() => show('make')}>
      {t('gallery.emptyAction')}
    </Button>
  );
  return <EmptyText title={t('gallery.empty')} lead={t('gallery.emptyLead')} action={toMake} />;
}

function EmptyText({ title, lead, action }: { title: string; lead?: string; action?: ReactNode }) {
  return (
    <div className="flex h-full flex-col items-center justify-center gap-3 text-center">
      <p className="text-lg font-semibold">{title}</p>
      {lead !== undefined && <p className="text-muted">{lead}</p>}
      {action}
    </div>
  );
}
