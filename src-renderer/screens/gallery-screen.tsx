import { useVirtualizer } from '@tanstack/react-virtual';
import { Check, Star } from 'lucide-react';
import { type KeyboardEvent, memo, type ReactNode, useCallback, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { imageUrl } from '../client/http.ts';
import { useBoxSize } from '../components/box-size.ts';
import { Button } from '../components/button.tsx';
import { ImageDialog } from '../components/image-dialog.tsx';
import { useStudio, useStudioStore } from '../components/use-studio.ts';
import { everything } from '../store/gallery-slice.ts';
import type { Job } from '../store/jobs.ts';
import { GalleryToolbar } from './gallery-toolbar.tsx';
import { createRowsAhead } from './rows-ahead.ts';

const SMALLEST_TILE_PX = 168;
const GAP_PX = 8;
/** Between the pages that nobody waits for yet; none comes while the list moves, which would change its length under the scroll bar. */
const LOAD_PAUSE_MS = 60;
/** A tile that is scrolled past sooner is its words alone: no image is asked for, and no button made that nobody could hit. */
const PASSING_MS = 80;

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
      <GalleryToolbar />
      <Grid onOpen={setOpenId} />
      {open !== undefined && <ImageDialog job={open} onClose={() => setOpenId(null)} onPrevious={goTo(openIndex - 1)} onNext={goTo(openIndex + 1)} />}
    </section>
  );
}

/** Only the rows on the screen exist. The list itself is loaded page by page to its end, so that the scroll bar and the End key reach the oldest image. */
function Grid({ onOpen }: { onOpen: (id: string) => void }) {
  const { t } = useTranslation();
  const gallery = useStudio((state) => state.gallery);
  const loadMore = useStudio((state) => state.loadMoreGallery);
  const setSelection = useStudio((state) => state.setSelection);
  const state = useStudio((studio) => studio.galleryState);
  const { ref, box } = useBoxSize<HTMLDivElement>();
  const [focused, setFocused] = useState(0);
  const [rowsAhead] = useState(createRowsAhead);
  const [shownBefore] = useState(() => new Set<string>());
  const width = box.width - 32;
  const columns = Math.max(2, Math.floor((width + GAP_PX) / (SMALLEST_TILE_PX + GAP_PX)));
  const tilePx = (width - GAP_PX * (columns - 1)) / columns;
  const rowCount = Math.ceil(gallery.length / columns);
  const rows = useVirtualizer({
    count: rowCount,
    getScrollElement: () => ref.current,
    estimateSize: () => tilePx + GAP_PX,
    rangeExtractor: rowsAhead,
    paddingStart: 16,
    paddingEnd: 16,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another tile size needs new row heights
  useEffect(() => rows.measure(), [tilePx, rows]);

  const shownRows = rows.getVirtualItems();
  // a tile that was scrolled away cannot take the focus: the first one in view does then
  const isFocusShown = shownRows.some((row) => row.index === Math.floor(focused / columns));
  const reachable = isFocusShown ? focused : (rows.range?.startIndex ?? 0) * columns;
  const isNearEnd = (shownRows.at(-1)?.index ?? 0) >= rowCount - 6;
  const isLoadingDue = state === 'idle' && (isNearEnd || !rows.isScrolling);
  useEffect(() => {
    if (!isLoadingDue) return;
    const timer = setTimeout(loadMore, isNearEnd ? 0 : LOAD_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [isNearEnd, isLoadingDue, loadMore]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'a' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      setSelection(gallery.map((job) => job.id));
    }
    if (event.key === 'Escape') setSelection([]);
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
    // biome-ignore lint/a11y/noStaticElementInteractions: arrow keys go from image to image
    <div ref={ref} className="relative min-h-0 flex-1 overflow-y-auto px-4" onKeyDown={onKeyDown}>
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
                  className="absolute contain-layout contain-size"
                  style={{ width: tilePx, height: tilePx, left: column * (tilePx + GAP_PX), top: row.start }}
                >
                  <Tile job={job} index={index} isReachable={index === reachable} shownBefore={shownBefore} onFocus={setFocused} onOpen={onOpen} />
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
  /** Images that the gallery has shown. */
  shownBefore: Set<string>;
  onFocus: (index: number) => void;
  onOpen: (id: string) => void;
}

/** Whether it is time to show all of this tile; one that was shown before comes back whole. */
function useIsStaying(id: string, shownBefore: Set<string>): boolean {
  const [isStaying, setStaying] = useState(shownBefore.has(id));
  useEffect(() => {
    if (isStaying) return;
    const timer = setTimeout(() => {
      shownBefore.add(id);
      setStaying(true);
    }, PASSING_MS);
    return () => clearTimeout(timer);
  }, [id, isStaying, shownBefore]);
  return isStaying;
}

/** Its loading ends with it: browsers go on loading an image that has left the page, and those in view would wait behind all that were scrolled past. */
function TileImage({ url }: { url: string }) {
  const load = useCallback(
    (image: HTMLImageElement) => {
      image.src = url;
      return () => image.removeAttribute('src');
    },
    [url],
  );
  return <img ref={load} alt="" decoding="async" className="absolute inset-0 size-full object-cover" />;
}

/** Scrolling renders the grid again, but not the tiles that stay. */
const Tile = memo(function Tile({ job, index, isReachable, shownBefore, onFocus, onOpen }: TileProps) {
  const { t } = useTranslation();
  const isSelected = useStudio((state) => state.selection.has(job.id));
  const store = useStudioStore();
  const { toggleSelected, selectTo, star, remove } = store.getState();
  const prompt = job.params?.prompt ?? '';
  const toggle = () => toggleSelected(job.id);
  const tabIndex = isReachable ? 0 : -1;
  const url = job.filename === null || job.isDeleted ? null : imageUrl(job.filename, window.devicePixelRatio > 1 ? 384 : 256);
  const isStaying = useIsStaying(job.id, shownBefore);
  return (
    <div className={`group relative size-full overflow-hidden rounded-md bg-sunken ${isSelected ? 'ring-3 ring-accent' : ''}`}>
      <button
        type="button"
        data-index={index}
        tabIndex={tabIndex}
        aria-label={t('gallery.open', { prompt })}
        className="size-full -outline-offset-2"
        onFocus={() => onFocus(index)}
        onClick={(event) => {
          if (event.shiftKey) selectTo(job.id);
          else if (event.ctrlKey || event.metaKey || store.getState().selection.size > 0) toggle();
          else onOpen(job.id);
        }}
        onKeyDown={(event) => {
          if (event.key === 'x') toggle();
          else if (event.key === 's' && !job.isDeleted) star(job.id, !job.isStarred);
          else if (event.key === 'Delete' && !job.isDeleted) remove([job.id]);
        }}
      >
        <span className="absolute inset-x-3 top-3 line-clamp-5 break-words text-left text-xs text-muted">{prompt}</span>
        {url !== null && isStaying && <TileImage url={url} />}
      </button>
      {isStaying && !job.isDeleted && (
        <p className="pointer-events-none absolute inset-x-0 bottom-0 bg-over-image px-2 py-1 text-xs text-on-image opacity-0 transition-opacity group-focus-within:opacity-100 group-hover:opacity-100">
          <span className="line-clamp-2 break-words">{prompt}</span>
        </p>
      )}
      {job.isStarred && <Star size={16} aria-hidden fill="currentColor" className="absolute top-2 right-2 text-on-image drop-shadow-[0_0_2px_#000]" />}
      {(isStaying || isSelected) && (
        <button
          type="button"
          tabIndex={tabIndex}
          aria-label={t('gallery.pick', { prompt })}
          aria-pressed={isSelected}
          className="absolute top-1 left-1 flex size-8 items-center justify-center opacity-0 group-focus-within:opacity-100 group-hover:opacity-100 aria-pressed:opacity-100"
          onClick={(event) => (event.shiftKey ? selectTo(job.id) : toggle())}
        >
          <span
            className={`flex size-5 items-center justify-center rounded-full border-2 border-on-image ${isSelected ? 'bg-accent text-on-accent' : 'bg-over-image'}`}
          >
            {isSelected && <Check size={12} strokeWidth={3} aria-hidden />}
          </span>
        </button>
      )}
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
  const { deleted, ...narrowing } = filter;
  if (Object.values(narrowing).some((value) => value !== undefined)) {
    const showAll = () => filterGallery(everything);
    return (
      <EmptyText title={t('gallery.nothingFound')} lead={t('gallery.nothingFoundLead')} action={<Button onClick={showAll}>{t('gallery.showAll')}</Button>} />
    );
  }
  if (deleted === true) return <EmptyText title={t('gallery.emptyBin')} lead={t('gallery.emptyBinLead')} />;
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
