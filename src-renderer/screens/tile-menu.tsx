import { useTranslation } from 'react-i18next';
import { imageUrl } from '../client/http.ts';
import { ContextMenu, type MenuItem } from '../components/context-menu.tsx';
import { useStudioStore } from '../components/use-studio.ts';
import type { Job } from '../store/jobs.ts';

interface TileMenuProps {
  job: Job;
  at: { x: number; y: number };
  onClose(): void;
}

/** The actions for one image of the gallery, by right click. */
export function TileMenu({ job, at, onClose }: TileMenuProps) {
  const { t } = useTranslation();
  const { openImage, star, vary, reuse, remove, restore, toggleSelected, show } = useStudioStore().getState();
  const { id, params, filename, upscaledFilename, isStarred } = job;
  const select: MenuItem = { label: t('gallery.select'), onChoose: () => toggleSelected(id) };
  const open: MenuItem = { label: t('gallery.openOne'), onChoose: () => openImage(id) };
  const binned: MenuItem[] = [open, { label: t('stage.restore'), onChoose: () => restore([id]) }, select];
  const kept: MenuItem[] = [
    open,
    { label: t(isStarred ? 'view.unstar' : 'view.star'), onChoose: () => star(id, !isStarred) },
    {
      label: t('view.variation'),
      onChoose: () => {
        vary(id);
        show('make');
      },
    },
    {
      label: t('view.reuse'),
      onChoose: () => {
        if (params !== null) reuse(params);
        show('make');
      },
    },
    { label: t('view.download'), onChoose: () => download(upscaledFilename ?? filename) },
    select,
    { label: t('view.remove'), onChoose: () => remove([id]) },
  ];
  return <ContextMenu label={t('gallery.menu')} at={at} items={job.isDeleted ? binned : kept} onClose={onClose} />;
}

function download(filename: string | null): void {
  if (filename === null) return;
  const link = document.createElement('a');
  link.href = imageUrl(filename);
  link.download = filename;
  link.click();
}
