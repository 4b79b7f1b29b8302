import { X } from 'lucide-react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Recipe } from '#shared/domain/recipe.ts';
import type { Upload } from '#shared/protocol/http.ts';
import { Button, IconButton } from './button.tsx';
import { Segmented } from './segmented.tsx';
import { useCopy } from './use-copy.ts';
import { useStudio } from './use-studio.ts';

interface RecipeDialogProps {
  filename: string;
  upscaledFilename: string | null;
  onClose(): void;
}

/** The recipe in an image file, read from the file itself: the original or the upscaled one. */
export function RecipeDialog({ filename, upscaledFilename, onClose }: RecipeDialogProps) {
  const { t } = useTranslation();
  const readFile = useStudio((state) => state.readFile);
  const { copyText } = useCopy();
  const dialog = useRef<HTMLDialogElement>(null);
  const [shown, setShown] = useState(filename);
  const [upload, setUpload] = useState<Upload | null>(null);
  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    let isWanted = true;
    setUpload(null);
    void readFile(shown).then((read) => {
      if (isWanted) setUpload(read);
    });
    return () => {
      isWanted = false;
    };
  }, [shown, readFile]);
  const recipe = upload?.recipe ?? null;
  return (
    <dialog
      ref={dialog}
      aria-label={t('recipe.title')}
      className="m-auto max-h-[90dvh] w-[min(40rem,calc(100vw-2rem))] overflow-y-auto rounded-lg border border-line bg-surface p-5 shadow-float backdrop:bg-veil"
      onClose={onClose}
      onKeyDown={(event) => event.stopPropagation()}
    >
      <div className="flex flex-col gap-4">
        <div className="flex items-center gap-2">
          <h2 className="mr-auto font-semibold">{t('recipe.title')}</h2>
          <IconButton label={t('view.close')} onClick={() => dialog.current?.close()}>
            <X size="1.125rem" aria-hidden />
          </IconButton>
        </div>
        {upscaledFilename !== null && (
          <Segmented
            label={t('recipe.file')}
            isLabelHidden
            value={shown}
            options={[
              { value: filename, label: t('view.original') },
              { value: upscaledFilename, label: t('view.upscaled') },
            ]}
            onChange={setShown}
          />
        )}
        <p className="font-mono text-xs break-all text-muted">{shown}</p>
        {upload !== null && recipe === null && <p className="text-sm">{t('error.no_recipe')}</p>}
        {upload !== null && recipe !== null && <RecipeFacts recipe={recipe} width={upload.width} height={upload.height} />}
        {recipe !== null && (
          <Button className="self-start" onClick={() => copyText(JSON.stringify(recipe, null, 2))}>
            {t('recipe.copy')}
          </Button>
        )}
      </div>
    </dialog>
  );
}

function RecipeFacts({ recipe, width, height }: { recipe: Recipe; width: number; height: number }) {
  const { t, i18n } = useTranslation();
  const { params, checkpoint, upscaler, program } = recipe;
  return (
    <dl className="grid grid-cols-[max-content_minmax(0,1fr)] gap-x-5 gap-y-2 text-sm">
      <Row name={t('recipe.prompt')}>
        <span className="whitespace-pre-wrap">{params.prompt}</span>
      </Row>
      <Row name={t('recipe.size')}>
        {width} × {height}
      </Row>
      <Row name={t('detail.seed')}>{params.seed}</Row>
      <Row name={t('detail.steps')}>{params.steps}</Row>
      <Row name={t('options.guidance')}>{params.guidance_scale}</Row>
      <Row name={t('options.model')}>
        {checkpoint.name} <Identity value={checkpoint.identity} />
      </Row>
      <Row name={t('view.upscaled')}>
        {upscaler.name} <Identity value={upscaler.identity} />
      </Row>
      <Row name={t('recipe.made')}>
        {new Intl.DateTimeFormat(i18n.language, { dateStyle: 'medium', timeStyle: 'medium' }).format(recipe.created_at * 1000)} · {program.name}{' '}
        {program.version}
      </Row>
      <Row name={t('recipe.job')}>
        <Identity value={recipe.job_id} />
      </Row>
    </dl>
  );
}

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  );
}

function Identity({ value }: { value: string }) {
  return <span className="font-mono text-xs break-all text-muted">{value}</span>;
}
