import { Copy, Download, FolderOpen, RotateCcw, ScrollText, Shuffle, Star, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { GenerateParams } from '../client/create-job.ts';
import { imageUrl } from '../client/http.ts';
import { curlCommands, javaScriptProgram, pythonProgram } from '../client/recipe-script.ts';
import { EditMenu } from '../edit/edit-menu.tsx';
import type { Job } from '../store/jobs.ts';
import { accessKeyOf } from '../store/server-slice.ts';
import { Button, IconButton } from './button.tsx';
import { UPSCALE } from './image-view.tsx';
import { Menu } from './menu.tsx';
import { RecipeDialog } from './recipe-dialog.tsx';
import { useCopy } from './use-copy.ts';
import { useShare } from './use-share.ts';
import { useStudio, useStudioStore } from './use-studio.ts';

interface ImageActionsProps {
  job: Job;
  /** Null for an image that was not made from text. */
  params: GenerateParams | null;
  /** Called when the form or the stage is the next to look at. */
  onReuse?: () => void;
  /** Called before the image moves to the bin. */
  onRemove?: () => void;
}

/** The actions for a finished image. */
export function ImageActions({ job, params, onReuse, onRemove }: ImageActionsProps) {
  const { t } = useTranslation();
  const star = useStudio((state) => state.star);
  const remove = useStudio((state) => state.remove);
  const { reuse, vary } = useStudioStore().getState();
  const isDesktop = useStudio((state) => state.isDesktop);
  const showInFolder = useStudio((state) => state.showInFolder);
  const key = useStudio(accessKeyOf);
  const [isRecipeOpen, setRecipeOpen] = useState(false);
  const { copyText, copyImage } = useCopy();
  const shareImage = useShare();
  const { filename, upscaledFilename } = job;
  if (filename === null) return null;

  const shape = params ?? job.upscaleParams ?? { width: 0, height: 0 };
  const scale = params?.upscale || UPSCALE;
  const files = [filename, ...(upscaledFilename === null ? [] : [upscaledFilename])];
  const server = { origin: window.location.origin, key };
  const downloads = [
    ...(upscaledFilename === null || params === null
      ? []
      : [
          {
            label: t('view.downloadUpscaled', { width: params.width * scale, height: params.height * scale }),
            href: imageUrl(upscaledFilename),
            download: upscaledFilename,
          },
        ]),
    ...(window.isSecureContext && 'share' in navigator ? [{ label: t('view.share'), onChoose: () => shareImage(upscaledFilename ?? filename) }] : []),
    { label: t('view.downloadOriginal', { width: shape.width, height: shape.height }), href: imageUrl(filename), download: filename },
    ...copiesOf(upscaledFilename ?? filename).map(({ text, ...link }) => ({ label: t(text), ...link })),
  ];
  const use = (change: Partial<GenerateParams>) => () => {
    reuse(change);
    onReuse?.();
  };
  const uses =
    params === null
      ? []
      : [
          { label: t('view.usePrompt'), onChoose: use({ prompt: params.prompt }) },
          { label: t('view.useSeed', { seed: params.seed }), onChoose: use({ seed: params.seed }) },
          { label: t('view.reuse'), onChoose: use(params) },
        ];
  const copies = [
    ...(window.isSecureContext ? [{ label: t('view.copyImage'), onChoose: () => copyImage(imageUrl(upscaledFilename ?? filename)) }] : []),
    ...(params === null
      ? []
      : [
          { label: t('view.copyPrompt'), onChoose: () => copyText(params.prompt) },
          { label: t('view.copySeed', { seed: params.seed }), onChoose: () => copyText(String(params.seed)) },
          { label: t('view.copyJavaScript'), onChoose: () => copyText(javaScriptProgram(server, params)) },
          { label: t('view.copyPython'), onChoose: () => copyText(pythonProgram(server, params)) },
        ]),
    { label: t('view.copyCurl'), onChoose: () => copyText(curlCommands(server, files)) },
  ];
  return (
    <div className="flex flex-wrap items-center gap-1">
      {params !== null && (
        <>
          <Button
            tone="primary"
            title={t('view.variationHelp')}
            onClick={() => {
              vary(job.id);
              onReuse?.();
            }}
          >
            <Shuffle size="1rem" aria-hidden />
            {t('view.variation')}
          </Button>
          <Menu
            label={
              <>
                <RotateCcw size="1rem" aria-hidden />
                <span className="sr-only wide:not-sr-only">{t('view.use')}</span>
              </>
            }
            isAtStart
            items={uses}
          />
        </>
      )}
      <div className="ml-auto flex items-center gap-0.5 wide:gap-1">
        <IconButton label={job.isStarred ? t('view.unstar') : t('view.star')} isOn={job.isStarred} onClick={() => star(job.id, !job.isStarred)}>
          <Star size="1.125rem" aria-hidden {...(job.isStarred ? { fill: 'currentColor' } : {})} />
        </IconButton>
        <IconButton label={t('recipe.open')} onClick={() => setRecipeOpen(true)}>
          <ScrollText size="1.125rem" aria-hidden />
        </IconButton>
        {isDesktop && (
          <IconButton label={t('view.showInFolder')} onClick={() => showInFolder(upscaledFilename ?? filename)}>
            <FolderOpen size="1.125rem" aria-hidden />
          </IconButton>
        )}
        <IconButton
          label={t('view.remove')}
          onClick={() => {
            onRemove?.();
            remove([job.id]);
          }}
        >
          <Trash2 size="1.125rem" aria-hidden />
        </IconButton>
        <EditMenu filename={filename} width={shape.width} height={shape.height} onStart={onReuse} />
        <Menu
          label={
            <>
              <Copy size="1rem" aria-hidden />
              <span className="sr-only wide:not-sr-only">{t('view.copy')}</span>
            </>
          }
          items={copies}
        />
        <Menu
          label={
            <>
              <Download size="1rem" aria-hidden />
              <span className="sr-only wide:not-sr-only">{t('view.download')}</span>
            </>
          }
          items={downloads}
        />
      </div>
      {isRecipeOpen && <RecipeDialog filename={filename} upscaledFilename={upscaledFilename} onClose={() => setRecipeOpen(false)} />}
    </div>
  );
}

/** Copies in another format or with less metadata; the server names them in the same way. */
function copiesOf(filename: string) {
  const base = filename.replace(/\.png$/, '');
  return [
    { text: 'view.downloadJpeg', href: `${imageUrl(filename)}?format=jpeg`, download: `${base}.jpg` },
    { text: 'view.downloadMarks', href: `${imageUrl(filename)}?metadata=marks`, download: `${base}-no-prompt.png` },
    { text: 'view.downloadBare', href: `${imageUrl(filename)}?metadata=none`, download: `${base}-no-metadata.png` },
  ] as const;
}
