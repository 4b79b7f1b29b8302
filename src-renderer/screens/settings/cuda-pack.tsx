import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { CudaPackAction, CudaPackEntry } from '#shared/domain/cuda-pack.ts';
import type { Gpu } from '#shared/domain/device.ts';
import { Button } from '../../components/button.tsx';
import { Bytes } from '../../components/bytes.tsx';
import { ProgressBar } from '../../components/progress-bar.tsx';
import { useStudio } from '../../components/use-studio.ts';
import { errorText } from '../../i18n/error-text.ts';

/** The CUDA libraries for NVIDIA GPUs: detected GPUs, licences, size and installation. */
export function CudaPack() {
  const { t } = useTranslation();
  const pack = useStudio((state) => state.cudaPack);
  const devices = useStudio((state) => state.devices);
  const refresh = useStudio((state) => state.refreshCudaPack);
  useEffect(refresh, [refresh]);
  if (pack === null || devices === null || pack.state === 'unsupported') return null;
  return (
    <section aria-label={t('cuda.title')} className="flex flex-col gap-2 border-t border-line pt-3 text-sm">
      <div>
        <h4 className="font-medium">{t('cuda.title')}</h4>
        <Cards gpus={devices.gpus} />
      </div>
      {devices.gpus.length === 0 ? <WithoutCard pack={pack} /> : <Installation pack={pack} />}
    </section>
  );
}

/** Without a GPU the installation is collapsed, for users who are about to add one. */
function WithoutCard({ pack }: { pack: CudaPackEntry }) {
  const { t } = useTranslation();
  const [isOpen, setOpen] = useState(pack.state !== 'absent');
  return (
    <details open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="text-xs">{t('cuda.allTheSame')}</summary>
      <div className="flex flex-col gap-2 pt-2">
        <Installation pack={pack} />
      </div>
    </details>
  );
}

function Cards({ gpus }: { gpus: readonly Gpu[] }) {
  const { t } = useTranslation();
  if (gpus.length === 0) return <p className="text-xs text-muted">{t('cuda.noCard')}</p>;
  const names = gpus.map(({ name, driver }) => `${name}, ${t('device.driver', { version: driver })}`);
  return <p className="text-xs text-muted">{names.join(' · ')}</p>;
}

function Installation({ pack }: { pack: CudaPackEntry }) {
  const { t, i18n } = useTranslation();
  const act = useStudio((state) => state.actOnCudaPack);
  const [hasAgreed, setAgreed] = useState(false);
  const [isSure, setSure] = useState(false);
  const { state, error, path, bytes_done, bytes_total, installed_bytes, source } = pack;
  const isBusy = state === 'downloading' || state === 'unpacking' || state === 'verifying';
  // an installation in progress has been consented to
  const needsConsent = state === 'absent' || state === 'damaged';
  const doing = (action: CudaPackAction) => () => {
    setSure(false);
    act(action);
  };
  return (
    <>
      <p className="text-xs text-muted">
        {t(`cudaState.${state}`)}
        {!isBusy && state !== 'installed' && ' · '}
        {!isBusy && state !== 'installed' && t('cuda.from', { source })}
        {!isBusy && bytes_total > 0 && (
          <>
            {' · '}
            {state === 'installed' ? <Bytes value={installed_bytes} /> : <Bytes value={bytes_total} />}
          </>
        )}
      </p>
      {(isBusy || state === 'paused' || state === 'failed') && bytes_done > 0 && <Progress pack={pack} />}
      {error !== null && (
        <p className="text-xs font-medium break-words text-danger">
          {i18n.language !== 'en' && `${errorText(t, error)} `}
          {error.message}
        </p>
      )}
      {path !== null && <p className="font-mono text-xs break-all text-muted">{path}</p>}
      {state === 'installed' && <p className="text-xs text-muted">{t('cuda.restart')}</p>}
      {needsConsent && <Consent pack={pack} hasAgreed={hasAgreed} onChange={setAgreed} />}
      <div className="flex flex-wrap gap-2">
        {!isBusy && state !== 'installed' && (
          <Button tone="primary" disabled={needsConsent && !hasAgreed} onClick={doing('install')}>
            {t(state === 'paused' || state === 'failed' ? 'cuda.goOn' : 'cuda.install')}
          </Button>
        )}
        {isBusy && state !== 'verifying' && <Button onClick={doing('pause')}>{t('cuda.pause')}</Button>}
        {state === 'installed' && <Button onClick={doing('verify')}>{t('cuda.verify')}</Button>}
        {!isBusy && state !== 'absent' && !isSure && (
          <Button tone="quiet" onClick={() => setSure(true)}>
            {t('cuda.remove')}
          </Button>
        )}
        {isSure && (
          <>
            <Button tone="danger" autoFocus onClick={doing('remove')}>
              {t('models.reallyRemove')}
            </Button>
            <Button tone="quiet" onClick={() => setSure(false)}>
              {t('models.keep')}
            </Button>
          </>
        )}
      </div>
    </>
  );
}

/** The licences to accept, with links to their texts. */
function Consent({ pack: { licences }, hasAgreed, onChange }: { pack: CudaPackEntry; hasAgreed: boolean; onChange: (hasAgreed: boolean) => void }) {
  const { t } = useTranslation();
  return (
    <div className="flex flex-col gap-1.5">
      <p className="text-xs text-muted">{t('cuda.licences')}</p>
      <ul className="flex list-disc flex-col gap-0.5 pl-5 text-xs">
        {licences.map(({ name, url }) => (
          <li key={url}>
            <a className="text-accent underline" href={url} target="_blank" rel="noreferrer">
              {name}
            </a>
          </li>
        ))}
      </ul>
      <label className="flex items-center gap-2">
        <input type="checkbox" className="size-4 accent-accent" checked={hasAgreed} onChange={(event) => onChange(event.target.checked)} />
        {t('cuda.agree')}
      </label>
    </div>
  );
}

function Progress({ pack: { state, bytes_done, bytes_total, bytes_per_second } }: { pack: CudaPackEntry }) {
  const { t } = useTranslation();
  const fraction = bytes_total === 0 ? 0 : Math.min(1, bytes_done / bytes_total);
  return (
    <>
      <ProgressBar label={`${t(`cudaState.${state}`)}: ${t('cuda.title')}`} fraction={fraction} isMeasured={state !== 'unpacking'} />
      <p className="text-xs text-muted tabular-nums">
        <Bytes value={bytes_done} /> / <Bytes value={bytes_total} />
        {bytes_per_second !== null && state === 'downloading' && (
          <>
            {' · '}
            <Bytes value={bytes_per_second} />
            {t('models.perSecond')}
          </>
        )}
      </p>
    </>
  );
}
