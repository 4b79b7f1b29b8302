import { FlaskConical, X } from 'lucide-react';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import type { ModelEntry } from '#shared/domain/model.ts';
import { Button, IconButton } from '../components/button.tsx';
import { useBytes } from '../components/bytes.tsx';
import { ProgressBar } from '../components/progress-bar.tsx';
import { useStudio, useStudioStore } from '../components/use-studio.ts';
import { useChosenModel } from './use-chosen-model.ts';

/** While the demo model draws: what it is, and the full model to install. */
export function DemoBanner() {
  const { t } = useTranslation();
  const bytes = useBytes();
  const isDemo = useChosenModel()?.bundled === true;
  const isClosed = useStudio((state) => state.isDemoBannerClosed);
  const models = useStudio((state) => state.models);
  const { show, actOnModel, closeDemoBanner, refreshModels } = useStudioStore().getState();
  const isShown = isDemo && !isClosed;
  useEffect(() => {
    if (isShown) refreshModels();
  }, [isShown, refreshModels]);
  const offered = models?.models.find(({ kind, source, state }) => kind === 'uint4' && source.type === 'hub' && state !== 'installed');
  if (!isShown || offered === undefined) return null;
  return (
    <aside aria-label={t('banner.label')} className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line bg-accent-soft px-4 py-1.5 text-sm">
      <FlaskConical size="1.125rem" aria-hidden className="shrink-0 text-accent max-wide:hidden" />
      <p className="min-w-0 flex-1 basis-56">{t('banner.text', { size: bytes(offered.bytes_total) })}</p>
      <div className="flex items-center gap-1 max-wide:w-full">
        {offered.state === 'absent' ? (
          <Button tone="primary" onClick={() => actOnModel(offered.name, 'install')}>
            {t('modelAction.install')}
          </Button>
        ) : (
          <InstallProgress model={offered} />
        )}
        <Button tone="quiet" onClick={() => show('models')}>
          {t('banner.details')}
        </Button>
        <IconButton label={t('notice.dismiss')} className="max-wide:ml-auto" onClick={closeDemoBanner}>
          <X size="1rem" aria-hidden />
        </IconButton>
      </div>
    </aside>
  );
}

function InstallProgress({ model }: { model: ModelEntry }) {
  const { t } = useTranslation();
  const words = t(`modelState.${model.state}`);
  return (
    <div className="w-36">
      <p className="mb-0.5 text-xs text-muted">{words}</p>
      <ProgressBar label={words} fraction={model.bytes_total === 0 ? 0 : model.bytes_done / model.bytes_total} isMeasured />
    </div>
  );
}
