import type { TFunction } from 'i18next';
import { type ReactNode, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Recipe } from '#shared/domain/recipe.ts';
import type { Verification } from '#shared/domain/verification.ts';
import type { Upload } from '#shared/protocol/http.ts';
import { Button } from './button.tsx';
import { PanelDialog } from './panel-dialog.tsx';
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
  const [shown, setShown] = useState(filename);
  const [upload, setUpload] = useState<Upload | null>(null);
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
    <PanelDialog title={t('recipe.title')} width="w-[min(40rem,calc(100vw-2rem))]" onClose={onClose}>
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
        <div className="flex flex-wrap gap-2">
          <Button onClick={() => copyText(JSON.stringify(recipe, null, 2))}>{t('recipe.copy')}</Button>
          <VerifyButtons key={shown} filename={shown} />
        </div>
      )}
    </PanelDialog>
  );
}

/** Two checks of a file: whether it is whole, and whether it comes out the same when it is made again. */
function VerifyButtons({ filename }: { filename: string }) {
  const { t } = useTranslation();
  const verifyFile = useStudio((state) => state.verifyFile);
  const [isBusy, setBusy] = useState(false);
  const [found, setFound] = useState<Verification | null>(null);
  const start = (repeat: boolean) => {
    setBusy(true);
    // a failure is shown as a notice
    void verifyFile(filename, repeat).then((verification) => {
      setFound(verification);
      setBusy(false);
    });
  };
  return (
    <>
      <Button disabled={isBusy} onClick={() => start(false)}>
        {t('verify.check')}
      </Button>
      <Button disabled={isBusy} onClick={() => start(true)}>
        {t('verify.repeat')}
      </Button>
      <p role="status" className="w-full text-sm">
        {isBusy ? t('verify.busy') : found === null ? '' : [t(`verify.pixels.${found.pixels}`), ...repeatTexts(found, t)].join(' ')}
      </p>
    </>
  );
}

function repeatTexts({ obstacles, repeat }: Verification, t: TFunction): string[] {
  if (repeat === null) return obstacles.length > 0 ? [t('verify.cannot'), ...obstacles] : [t('verify.can')];
  if (repeat.verdict === 'identical') return [t('verify.identical')];
  if (repeat.verdict === 'cannot') return [t('verify.cannot'), ...repeat.because];
  const { max_levels: levels, psnr_db: psnr, because } = repeat;
  return [levels === null || psnr === null ? t('verify.otherSize') : t('verify.differs', { levels, psnr: psnr.toFixed(1) }), ...because];
}

function RecipeFacts({ recipe, width, height }: { recipe: Recipe; width: number; height: number }) {
  const { t, i18n } = useTranslation();
  const { upscaler, program } = recipe;
  return (
    <dl className="grid grid-cols-[max-content_minmax(0,1fr)] gap-x-5 gap-y-2 text-sm">
      {recipe.task_type === 'text_to_image' && (
        <Row name={t('recipe.prompt')}>
          <span className="whitespace-pre-wrap">{recipe.params.prompt}</span>
        </Row>
      )}
      <Row name={t('recipe.size')}>
        {width} × {height}
      </Row>
      {recipe.task_type === 'text_to_image' && (
        <>
          <Row name={t('detail.seed')}>{recipe.params.seed}</Row>
          <Row name={t('detail.steps')}>{recipe.params.steps}</Row>
          <Row name={t('options.guidance')}>{recipe.params.guidance_scale}</Row>
          <Row name={t('options.model')}>
            {recipe.checkpoint.name} <Identity value={recipe.checkpoint.identity} />
          </Row>
        </>
      )}
      {upscaler !== undefined && (
        <Row name={t('view.upscaled')}>
          {upscaler.name} <Identity value={upscaler.identity} />
        </Row>
      )}
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
