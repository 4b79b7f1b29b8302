import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowUp, Check, Star } from 'lucide-react';
import { type KeyboardEvent, memo, type ReactNode, useCallback, useEffect, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { binImageUrl, imageUrl } from '../client/http.ts';
import { useBoxSize } from '../components/box-size.ts';
import { Button } from '../components/button.tsx';
import { CompareDialog } from '../components/compare-dialog.tsx';
import { DeletedAgo } from '../components/deleted-ago.tsx';
import { ImageDialog } from '../components/image-dialog.tsx';
import { jobTitle } from '../components/job-title.ts';
import { useStudio, useStudioStore } from '../components/use-studio.ts';
import { noFilter } from '../store/gallery-filter.ts';
import type { Job } from '../store/jobs.ts';
import { GalleryToolbar } from './gallery-toolbar.tsx';
import { dayStarts, GAP_PX, HEADING_PX, justifiedRows, leftsOf, neighbourAcross, ratioOf, rowAt } from './justified-rows.ts';
import { createRowsAhead } from './rows-ahead.ts';
import { TileMenu } from './tile-menu.tsx';

const PADDING_PX = 16;
/** Pause between pages that are loaded ahead. None is loaded during scrolling, because a longer list moves the scroll bar. */
const LOAD_PAUSE_MS = 60;
/** A tile that is scrolled past faster shows only its text: it requests no image and has no select button. */
const PASSING_MS = 80;

/** All images on this computer. */
export function GalleryScreen() {
  const { t } = useTranslation();
  const gallery = useStudio((state) => state.gallery);
  const openId = useStudio((state) => state.openImageId);
  // an image that is not in the list, for example because of a filter, still opens
  const unlisted = useStudio((state) => (state.openImageId === null ? undefined : state.jobs[state.openImageId]));
  const openImage = useStudio((state) => state.openImage);
  const openIndex = gallery.findIndex((job) => job.id === openId);
  const open = gallery[openIndex] ?? unlisted;
  const goTo = (index: number) => {
    const job = openIndex === -1 ? undefined : gallery[index];
    return job === undefined ? null : () => openImage(job.id);
  };
  return (
    <section aria-label={t('gallery.label')} className="flex h-full flex-col">
      <GalleryToolbar />
      <Grid onOpen={openImage} />
      <CompareDialog />
      {open !== undefined && <ImageDialog job={open} onClose={() => openImage(null)} onPrevious={goTo(openIndex - 1)} onNext={goTo(openIndex + 1)} />}
    </section>
  );
}

/** Only visible rows are rendered. The whole list is loaded page by page, so the scroll bar and the End key reach the oldest image. */
function Grid({ onOpen }: { onOpen: (id: string) => void }) {
  const { t } = useTranslation();
  const gallery = useStudio((state) => state.gallery);
  const state = useStudio((studio) => studio.galleryState);
  const store = useStudioStore();
  const { loadMoreGallery, setSelection, setGalleryPlace } = store.getState();
  const { ref, box } = useBoxSize<HTMLDivElement>();
  const [place] = useState(store.getState().galleryPlace);
  // by id: an index would mean another image as soon as one is added or removed
  const [focusedId, setFocusedId] = useState(place.focusedId);
  const [menu, setMenu] = useState<{ job: Job; x: number; y: number } | null>(null);
  const closeMenu = useCallback(() => setMenu(null), []);
  const [rowsAhead] = useState(createRowsAhead);
  const [shownBefore] = useState(() => new Set<string>());
  const wantedPx = useStudio((studio) => studio.settings.tilePx);
  const width = box.width - 2 * PADDING_PX;
  const shapes = useMemo(() => gallery.map(({ params }) => params), [gallery]);
  // at least two squares in a row, also on a phone
  const starts = useMemo(() => dayStarts(gallery.map(({ createdAtMs }) => createdAtMs)), [gallery]);
  const layout = useMemo(
    () => (width > 0 ? justifiedRows(shapes, width, Math.min(wantedPx, (width - GAP_PX) / 2), starts) : []),
    [shapes, width, wantedPx, starts],
  );
  const headingPx = ({ first }: { first: number }) => (starts[first] === true ? HEADING_PX : 0);
  const rows = useVirtualizer({
    count: layout.length,
    getScrollElement: () => ref.current,
    estimateSize: (index) => {
      const row = layout[index];
      return row === undefined ? 0 : headingPx(row) + row.heightPx + GAP_PX;
    },
    rangeExtractor: rowsAhead,
    paddingEnd: PADDING_PX,
    initialOffset: place.scrollTopPx,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another layout has other row heights
  useEffect(() => rows.measure(), [layout, rows]);
  useEffect(() => () => setGalleryPlace({ focusedId }), [focusedId, setGalleryPlace]);

  const focused = Math.max(
    0,
    gallery.findIndex((job) => job.id === focusedId),
  );
  const shownRows = rows.getVirtualItems();
  // if the focused tile is scrolled out of view, the first visible one is the Tab stop
  const isFocusShown = shownRows.some((row) => row.index === rowAt(layout, focused));
  const reachable = isFocusShown ? focused : (layout[rows.range?.startIndex ?? 0]?.first ?? 0);
  const isNearEnd = (shownRows.at(-1)?.index ?? 0) >= layout.length - 6;
  const isLoadingDue = state === 'idle' && (isNearEnd || !rows.isScrolling);
  useEffect(() => {
    if (!isLoadingDue) return;
    const timer = setTimeout(loadMoreGallery, isNearEnd ? 0 : LOAD_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [isNearEnd, isLoadingDue, loadMoreGallery]);

  /** Index of the image that a key goes to; null for other keys. */
  const targetOf = (key: string): number | null => {
    switch (key) {
      case 'ArrowLeft':
        return focused - 1;
      case 'ArrowRight':
        return focused + 1;
      case 'ArrowUp':
        return neighbourAcross(layout, shapes, focused, -1);
      case 'ArrowDown':
        return neighbourAcross(layout, shapes, focused, 1);
      case 'Home':
        return 0;
      case 'End':
        return gallery.length - 1;
      default:
        return null;
    }
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'a' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      setSelection(gallery.map((job) => job.id));
    }
    if (event.key === 'Escape') setSelection([]);
    const target = targetOf(event.key);
    if (target === null) return;
    event.preventDefault();
    const next = Math.min(gallery.length - 1, Math.max(0, target));
    setFocusedId(gallery[next]?.id ?? null);
    rows.scrollToIndex(rowAt(layout, next));
    requestAnimationFrame(() => ref.current?.querySelector<HTMLButtonElement>(`[data-index="${next}"]`)?.focus());
  };

  return (
    <div className="relative flex min-h-0 flex-1 flex-col">
      <NewImages onShow={() => rows.scrollToOffset(0)} />
      {menu !== null && <TileMenu job={menu.job} at={menu} onClose={closeMenu} />}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: arrow keys move between the images */}
      <div
        ref={ref}
        className="relative min-h-0 flex-1 overflow-y-auto px-4"
        onKeyDown={onKeyDown}
        onScroll={(event) => setGalleryPlace({ scrollTopPx: event.currentTarget.scrollTop })}
      >
        {gallery.length === 0 ? (
          <Empty />
        ) : (
          <ul aria-label={t('gallery.label')} className="relative" style={{ height: rows.getTotalSize() }}>
            {shownRows.flatMap((shown) => {
              const row = layout[shown.index];
              if (row === undefined) return [];
              const lefts = leftsOf(row, shapes);
              const firstJob = gallery[row.first];
              const tiles = gallery.slice(row.first, row.first + row.count).map((job, column) => {
                const index = row.first + column;
                const width = ratioOf(job.params) * row.heightPx;
                return (
                  <li
                    key={job.id}
                    className="absolute contain-layout contain-size"
                    style={{ width, height: row.heightPx, left: lefts[column] ?? 0, top: shown.start + headingPx(row) }}
                  >
                    <Tile
                      job={job}
                      index={index}
                      isReachable={index === reachable}
                      shownBefore={shownBefore}
                      onFocus={setFocusedId}
                      onOpen={onOpen}
                      onMenu={setMenu}
                    />
                  </li>
                );
              });
              if (firstJob === undefined || headingPx(row) === 0) return tiles;
              return [<DayHeading key={`day-${firstJob.id}`} timeMs={firstJob.createdAtMs} topPx={shown.start} />, ...tiles];
            })}
          </ul>
        )}
      </div>
    </div>
  );
}

/** The day of the images below it. */
function DayHeading({ timeMs, topPx }: { timeMs: number; topPx: number }) {
  const { i18n } = useTranslation();
  const format = new Intl.DateTimeFormat(i18n.language, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
  return (
    <li className="absolute flex items-end pb-2" style={{ top: topPx, height: HEADING_PX }}>
      <h2 className="text-sm font-semibold">{format.format(timeMs)}</h2>
    </li>
  );
}

/** Images that arrived while the list was scrolled down wait here, so that the visible tiles stay where they are. */
function NewImages({ onShow }: { onShow: () => void }) {
  const { t } = useTranslation();
  const count = useStudio((state) => state.galleryArrivals.length);
  const showArrivals = useStudio((state) => state.showArrivals);
  if (count === 0) return null;
  return (
    <Button
      tone="primary"
      className="absolute top-3 left-1/2 z-10 -translate-x-1/2 shadow-float"
      onClick={() => {
        showArrivals();
        onShow();
      }}
    >
      <ArrowUp size="1rem" aria-hidden />
      {t('gallery.arrivals', { count })}
    </Button>
  );
}

interface TileProps {
  job: Job;
  index: number;
  /** Only one tile is a Tab stop; the arrow keys reach the others. */
  isReachable: boolean;
  /** Ids of the images that the gallery has already shown. */
  shownBefore: Set<string>;
  onFocus: (id: string) => void;
  onOpen: (id: string) => void;
  onMenu: (menu: { job: Job; x: number; y: number }) => void;
}

/** Whether to render the whole tile: once it has stayed on the screen, or if it was shown before. */
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

/** Cancels its download when it is unmounted: browsers would finish it, and the visible images would wait behind all that were scrolled past. */
function TileImage({ url, className }: { url: string; className: string }) {
  const load = useCallback(
    (image: HTMLImageElement) => {
      image.src = url;
      return () => image.removeAttribute('src');
    },
    [url],
  );
  return <img ref={load} alt="" decoding="async" className={`absolute inset-0 size-full object-cover ${className}`} />;
}

/** Memoised: scrolling renders the grid, but not the tiles that stay. */
const Tile = memo(function Tile({ job, index, isReachable, shownBefore, onFocus, onOpen, onMenu }: TileProps) {
  const { t } = useTranslation();
  const isSelected = useStudio((state) => state.selection.has(job.id));
  const store = useStudioStore();
  const { toggleSelected, selectTo, star, remove } = store.getState();
  const prompt = jobTitle(t, job);
  const toggle = () => toggleSelected(job.id);
  const tabIndex = isReachable ? 0 : -1;
  const thumbnailPx = window.devicePixelRatio > 1 ? 384 : 256;
  const url = job.filename === null ? null : job.isDeleted ? binImageUrl(job.filename, thumbnailPx) : imageUrl(job.filename, thumbnailPx);
  const isStaying = useIsStaying(job.id, shownBefore);
  return (
    <div className={`group relative size-full overflow-hidden rounded-md bg-sunken ${isSelected ? 'ring-3 ring-accent' : ''}`}>
      <button
        type="button"
        data-index={index}
        tabIndex={tabIndex}
        aria-label={t('gallery.open', { prompt })}
        className="size-full -outline-offset-2"
        onFocus={() => onFocus(job.id)}
        onContextMenu={(event) => {
          event.preventDefault();
          // a long press on a touch screen selects
          const { nativeEvent } = event;
          if (nativeEvent instanceof PointerEvent && nativeEvent.pointerType === 'touch') toggle();
          else {
            const { left, bottom } = event.currentTarget.getBoundingClientRect();
            const isByKey = event.clientX === 0 && event.clientY === 0;
            onMenu({ job, x: isByKey ? left : event.clientX, y: isByKey ? bottom : event.clientY });
          }
        }}
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
        {/* a half transparent image would show the text behind it */}
        {!(job.isDeleted && isStaying) && <span className="absolute inset-x-3 top-3 line-clamp-5 break-words text-left text-xs text-muted">{prompt}</span>}
        {url !== null && isStaying && <TileImage url={url} className={job.isDeleted ? 'opacity-60' : ''} />}
      </button>
      {isStaying && (
        <p
          className={`pointer-events-none absolute inset-x-0 bottom-0 bg-over-image px-2 py-1 text-xs text-on-image transition-opacity group-focus-within:opacity-100 group-hover:opacity-100 ${job.isDeleted ? '' : 'opacity-0'}`}
        >
          <span className="line-clamp-2 break-words">{prompt}</span>
          <span>{job.isDeleted && <DeletedAgo atMs={job.deletedAtMs} />}</span>
        </p>
      )}
      {job.isStarred && (
        <span className="pointer-events-none absolute top-1.5 right-1.5 rounded-full bg-over-image p-1 text-on-image">
          <Star size="0.875rem" aria-hidden fill="currentColor" />
        </span>
      )}
      {(isStaying || isSelected) && (
        <button
          type="button"
          tabIndex={tabIndex}
          aria-label={t('gallery.pick', { prompt })}
          aria-pressed={isSelected}
          className="absolute top-1 left-1 flex size-8 items-center justify-center opacity-0 group-focus-within:opacity-100 group-hover:opacity-100 aria-pressed:opacity-100 [@media(hover:none)]:size-11 [@media(hover:none)]:opacity-100"
          onClick={(event) => (event.shiftKey ? selectTo(job.id) : toggle())}
        >
          <span
            className={`flex size-5 items-center justify-center rounded-full border-2 border-on-image ${isSelected ? 'bg-accent text-on-accent' : 'bg-over-image'}`}
          >
            {isSelected && <Check size="0.75rem" strokeWidth={3} aria-hidden />}
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
  if (state === 'loading') return <Skeleton />;
  if (state === 'failed') return <EmptyText title={t('gallery.failed')} action={<Button onClick={refreshGallery}>{t('gallery.again')}</Button>} />;
  const { deleted, order: _order, ...narrowing } = filter;
  if (Object.values(narrowing).some((value) => value !== undefined)) {
    const showAll = () => filterGallery(noFilter);
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

/** Where the images will be. */
function Skeleton() {
  const { t } = useTranslation();
  return (
    <div role="status" className="grid grid-cols-[repeat(auto-fill,minmax(10rem,1fr))] gap-2 pt-4">
      <span className="sr-only">{t('gallery.loading')}</span>
      {Array.from({ length: 18 }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: they are all the same
        <span key={index} aria-hidden className="aspect-square animate-pulse rounded-md bg-sunken" />
      ))}
    </div>
  );
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
