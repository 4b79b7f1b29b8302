import { Columns2, Download, Search, SlidersHorizontal, Star, Trash2, Undo2 } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { modelTypeSchema } from '#shared/domain/job.ts';
import { windowClientIdPattern } from '#shared/protocol/window-client-id.ts';
import { Button, IconButton } from '../components/button.tsx';
import { ConfirmButton } from '../components/confirm-button.tsx';
import { Segmented } from '../components/segmented.tsx';
import { Select } from '../components/select.tsx';
import { useStudio, useStudioStore } from '../components/use-studio.ts';
import { anyDates, type Dates } from '../store/date-range.ts';
import { searchOf } from '../store/search-query.ts';
import { LabelSelection } from './label-selection.tsx';

const SEARCH_DELAY_MS = 200;

/** The filters of the gallery, or the actions for the selected images. */
export function GalleryToolbar() {
  const isSelecting = useStudio((state) => state.selection.size > 0);
  return isSelecting ? <SelectionBar /> : <Filters />;
}

/** On narrow screens the filters are behind a button. */
function Filters() {
  const { t } = useTranslation();
  const isBin = useStudio((state) => state.galleryFilter.deleted === true);
  const isFiltered = useStudio(({ galleryFilter: { model, width, client, dates } }) => [model, width, client, dates].some((one) => one !== undefined));
  const refreshChoices = useStudio((state) => state.refreshGalleryChoices);
  const [isOpen, setOpen] = useState(false);
  useEffect(refreshChoices, [refreshChoices]);
  return (
    <div className="flex flex-wrap items-center gap-2 border-b border-line bg-surface px-4 py-3">
      <PromptSearch />
      <IconButton className="wide:hidden" label={t('gallery.filters')} aria-expanded={isOpen} aria-controls="gallery-filters" onClick={() => setOpen(!isOpen)}>
        <SlidersHorizontal size="1.125rem" aria-hidden className={isFiltered ? 'text-accent' : ''} />
      </IconButton>
      <Part />
      <div id="gallery-filters" className={`${isOpen ? 'grid w-full grid-cols-2 gap-2' : 'hidden'} wide:contents`}>
        <LabelFilter />
        <ModelFilter />
        <SizeFilter />
        <ClientFilter />
        <DateFilter />
        <OrderChoice />
        <TileSize />
      </div>
      {isBin && <EmptyBin />}
    </div>
  );
}

function PromptSearch() {
  const { t } = useTranslation();
  const asked = useStudio((state) => state.galleryFilter.query ?? '');
  const filterGallery = useStudio((state) => state.filterGallery);
  const [query, setQuery] = useState(asked);
  /** The latest search that was typed here or shown here. */
  const latest = useRef(asked);
  useEffect(() => {
    // another search was chosen elsewhere: by an address, an album or Show all
    if (asked !== latest.current) setQuery(asked);
    latest.current = asked;
  }, [asked]);
  useEffect(() => {
    const timer = setTimeout(() => {
      const words = query.trim();
      if (words === latest.current) return;
      latest.current = words;
      filterGallery({ query: words === '' ? undefined : words });
    }, SEARCH_DELAY_MS);
    return () => clearTimeout(timer);
  }, [query, filterGallery]);
  return (
    <label className="relative min-w-52 flex-1 wide:max-w-80 wide:min-w-40" title={t('gallery.searchHelp')}>
      <span className="sr-only">{t('gallery.search')}</span>
      <Search size="1rem" aria-hidden className="pointer-events-none absolute top-1/2 left-2.5 -translate-y-1/2 text-muted" />
      <input
        type="search"
        value={query}
        placeholder={t('gallery.search')}
        aria-description={t('gallery.searchHelp')}
        maxLength={400}
        data-shortcut="search"
        className="min-h-9 w-full rounded-md border border-control bg-surface pr-2 pl-8 text-sm hover:border-ink"
        onChange={(event) => setQuery(event.target.value)}
      />
    </label>
  );
}

function Part() {
  const { t } = useTranslation();
  const filter = useStudio((state) => state.galleryFilter);
  const filterGallery = useStudio((state) => state.filterGallery);
  return (
    <div className="w-full wide:w-56">
      <Segmented
        label={t('gallery.label')}
        isLabelHidden
        value={filter.deleted === true ? 'bin' : filter.starred === true ? 'starred' : 'all'}
        options={[
          { value: 'all', label: t('gallery.all') },
          { value: 'starred', label: t('gallery.starred') },
          { value: 'bin', label: t('gallery.bin') },
        ]}
        onChange={(value) => filterGallery({ starred: value === 'starred' ? true : undefined, deleted: value === 'bin' ? true : undefined })}
      />
    </div>
  );
}

/** Searches for an album or a tag; hidden until there is one. */
function LabelFilter() {
  const { t } = useTranslation();
  const labels = useStudio((state) => state.labels);
  const query = useStudio((state) => state.galleryFilter.query ?? '');
  const filterGallery = useStudio((state) => state.filterGallery);
  if (labels.length === 0) return null;
  const options = labels.map((label) => ({ value: searchOf(label), label: `${label.kind === 'tag' ? '# ' : ''}${label.name} (${label.jobs})` }));
  return (
    <Select
      label={t('label.any')}
      value={options.find(({ value }) => value.toLowerCase() === query.toLowerCase())?.value ?? ''}
      options={[{ value: '', label: t('label.any') }, ...options]}
      onChange={(value) => filterGallery({ query: value === '' ? undefined : value })}
    />
  );
}

function ModelFilter() {
  const { t } = useTranslation();
  const model = useStudio((state) => state.galleryFilter.model);
  const filterGallery = useStudio((state) => state.filterGallery);
  return (
    <Select
      label={t('options.model')}
      value={model ?? ''}
      options={[{ value: '', label: t('gallery.anyModel') }, ...modelTypeSchema.options.map((value) => ({ value, label: value }))]}
      onChange={(value) => filterGallery({ model: value === '' ? undefined : value })}
    />
  );
}

function SizeFilter() {
  const { t } = useTranslation();
  const { width, height } = useStudio((state) => state.galleryFilter);
  const sizes = useStudio((state) => state.gallerySizes);
  const filterGallery = useStudio((state) => state.filterGallery);
  return (
    <Select
      label={t('options.size')}
      value={width === undefined ? '' : `${width}x${height}`}
      options={[
        { value: '', label: t('gallery.anySize') },
        ...sizes.map((size) => ({ value: `${size.width}x${size.height}`, label: `${size.width} × ${size.height}` })),
      ]}
      onChange={(value) => {
        const size = sizes.find((one) => `${one.width}x${one.height}` === value);
        filterGallery({ width: size?.width, height: size?.height });
      }}
    />
  );
}

/** Filters by client; hidden if the server does not reveal its clients or has only one. */
function ClientFilter() {
  const { t } = useTranslation();
  const client = useStudio((state) => state.galleryFilter.client);
  const clients = useStudio((state) => state.clients)?.clients.filter(({ jobs }) => jobs > 0) ?? [];
  const filterGallery = useStudio((state) => state.filterGallery);
  if (clients.length < 2 && client === undefined) return null;
  const name = (id: string) => (windowClientIdPattern.test(id) ? t('network.window', { id: id.slice(-4) }) : id);
  return (
    <Select
      label={t('network.client')}
      value={client ?? ''}
      options={[{ value: '', label: t('gallery.anyClient') }, ...clients.map(({ client_id }) => ({ value: client_id, label: name(client_id) }))]}
      onChange={(value) => filterGallery({ client: value === '' ? undefined : value })}
    />
  );
}

function DateFilter() {
  const { t } = useTranslation();
  const dates = useStudio((state) => state.galleryFilter.dates) ?? anyDates;
  const filterGallery = useStudio((state) => state.filterGallery);
  const dayClass = 'min-h-9 rounded-md border border-control bg-surface px-2 text-sm hover:border-ink';
  const change = (part: Partial<Dates>) => filterGallery({ dates: { ...dates, ...part } });
  return (
    <>
      <Select
        label={t('gallery.date')}
        value={dates.choice}
        options={[
          { value: 'any', label: t('gallery.anyDate') },
          { value: 'today', label: t('gallery.today') },
          { value: 'week', label: t('gallery.week') },
          { value: 'month', label: t('gallery.month') },
          { value: 'days', label: t('gallery.days') },
        ]}
        onChange={(choice) => (choice === 'any' ? filterGallery({ dates: undefined }) : change({ choice }))}
      />
      {dates.choice === 'days' && (
        <>
          <input
            type="date"
            aria-label={t('gallery.firstDay')}
            className={dayClass}
            value={dates.first}
            {...(dates.last === '' ? {} : { max: dates.last })}
            onChange={(event) => change({ first: event.target.value })}
          />
          <input
            type="date"
            aria-label={t('gallery.lastDay')}
            className={dayClass}
            value={dates.last}
            {...(dates.first === '' ? {} : { min: dates.first })}
            onChange={(event) => change({ last: event.target.value })}
          />
        </>
      )}
    </>
  );
}

function OrderChoice() {
  const { t } = useTranslation();
  const order = useStudio((state) => state.galleryFilter.order ?? 'newest');
  const filterGallery = useStudio((state) => state.filterGallery);
  return (
    <Select
      label={t('gallery.order')}
      value={order}
      options={[
        { value: 'newest', label: t('gallery.newest') },
        { value: 'oldest', label: t('gallery.oldest') },
      ]}
      onChange={(value) => filterGallery({ order: value === 'newest' ? undefined : value })}
    />
  );
}

function TileSize() {
  const { t } = useTranslation();
  const tilePx = useStudio((state) => state.settings.tilePx);
  const changeSettings = useStudio((state) => state.changeSettings);
  return (
    <input
      type="range"
      aria-label={t('gallery.tileSize')}
      title={t('gallery.tileSize')}
      min={112}
      max={400}
      step={16}
      value={tilePx}
      className="h-9 w-24 accent-accent max-wide:w-full"
      onChange={(event) => changeSettings({ tilePx: event.target.valueAsNumber })}
    />
  );
}

function EmptyBin() {
  const { t } = useTranslation();
  const hasImages = useStudio((state) => state.gallery.length > 0);
  const emptyBin = useStudio((state) => state.emptyBin);
  if (!hasImages) return null;
  return (
    <ConfirmButton label={t('gallery.emptyBinNow')} question={t('gallery.emptyBinSure')} onConfirm={emptyBin}>
      <Trash2 size="1rem" aria-hidden />
    </ConfirmButton>
  );
}

/** The actions for the selected images. */
function SelectionBar() {
  const { t } = useTranslation();
  const selection = useStudio((state) => state.selection);
  const isBin = useStudio((state) => state.galleryFilter.deleted === true);
  // Ctrl+A selects what is loaded, which may be less than the gallery
  const isPartOfAll = useStudio((state) => state.galleryNext !== null && state.selection.size === state.gallery.length);
  const { remove, restore, removePermanently, setSelection, compareImages } = useStudioStore().getState();
  const ids = [...selection];
  return (
    <div className="flex flex-wrap items-center gap-2 border-b border-line bg-accent-soft px-4 py-3">
      <p className="mr-auto text-sm font-medium">
        {t('gallery.picked', { count: selection.size })} {isPartOfAll && t('gallery.selectedLoaded')}
      </p>
      {isBin ? (
        <>
          <Button
            onClick={() => {
              restore(ids);
              setSelection([]);
            }}
          >
            <Undo2 size="1rem" aria-hidden />
            {t('stage.restore')}
          </Button>
          <ConfirmButton label={t('view.removePermanently')} question={t('view.removePermanentlySure')} onConfirm={() => removePermanently(ids)}>
            <Trash2 size="1rem" aria-hidden />
          </ConfirmButton>
        </>
      ) : (
        <>
          {ids.length === 2 && (
            <Button onClick={() => compareImages([ids[0] ?? '', ids[1] ?? ''])}>
              <Columns2 size="1rem" aria-hidden />
              {t('compare.open')}
            </Button>
          )}
          <DownloadSelection ids={ids} />
          <LabelSelection ids={ids} />
          <StarSelection ids={ids} />
          <Button tone="danger" onClick={() => remove(ids)}>
            <Trash2 size="1rem" aria-hidden />
            {t('view.remove')}
          </Button>
        </>
      )}
      <Button tone="quiet" onClick={() => setSelection([])}>
        {t('gallery.unpick')}
      </Button>
    </div>
  );
}

/** Stars the selected images, or unstars them if all have a star. */
function StarSelection({ ids }: { ids: readonly string[] }) {
  const { t } = useTranslation();
  const starMany = useStudio((state) => state.starMany);
  const selection = useStudio((state) => state.selection);
  const unstarred = useStudio((state) => state.gallery).filter((job) => selection.has(job.id) && !job.isStarred);
  const areAllStarred = unstarred.length === 0;
  const changed = areAllStarred ? ids : unstarred.map((job) => job.id);
  return (
    <IconButton label={t(areAllStarred ? 'view.unstar' : 'view.star')} onClick={() => void starMany(changed, !areAllStarred)}>
      <Star size="1.125rem" aria-hidden {...(areAllStarred ? { fill: 'currentColor' } : {})} />
    </IconButton>
  );
}

/** Downloads the upscaled images, or originals without an upscaled version, as one zip. */
function DownloadSelection({ ids }: { ids: string[] }) {
  const { t } = useTranslation();
  const isZipping = useStudio((state) => state.isZipping);
  const downloadMany = useStudio((state) => state.downloadMany);
  const download = async () => {
    const zip = await downloadMany({ ids });
    if (zip === null) return;
    const link = document.createElement('a');
    link.href = URL.createObjectURL(zip);
    link.download = `zimage-${ids.length}.zip`;
    link.click();
    // the browser has the file by then
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };
  return (
    <Button disabled={isZipping} onClick={() => void download()}>
      <Download size="1rem" aria-hidden />
      {t(isZipping ? 'gallery.zipping' : 'gallery.downloadZip')}
    </Button>
  );
}
