import { type ReactNode, useEffect, useId, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { imageUrl } from '../client/http.ts';
import { Button } from '../components/button.tsx';
import { useBytes } from '../components/bytes.tsx';
import { Fact, Facts } from '../components/facts.tsx';
import { ProgressBar } from '../components/progress-bar.tsx';
import { Segmented } from '../components/segmented.tsx';
import { useStudio } from '../components/use-studio.ts';
import { errorText } from '../i18n/error-text.ts';
import { phaseText } from '../i18n/phase-text.ts';
import { isOver } from '../store/jobs.ts';
import { overallProgress } from '../store/overall-progress.ts';
import { trialJob } from '../store/welcome-slice.ts';
import { KeyNeeded } from './settings/key-needed.tsx';
import { providerText } from './settings/machine-section.tsx';
import { ModelRow } from './settings/models-section.tsx';
import { FolderSetting } from './settings/storage-section.tsx';

/** Setup on one page: language, image folder, this computer, and models. Closing it keeps the defaults. */
export function WelcomeDialog() {
  const { t } = useTranslation();
  const close = useStudio((state) => state.closeWelcome);
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const titleId = useId();
  return (
    <dialog
      ref={dialog}
      aria-labelledby={titleId}
      className="m-auto max-h-[92dvh] w-[min(44rem,calc(100vw-2rem))] scroll-pb-20 overflow-y-auto rounded-lg border border-line bg-surface p-6 shadow-float backdrop:bg-veil"
      onClose={close}
    >
      <div className="flex flex-col gap-6">
        <header>
          <h2 id={titleId} className="text-xl font-semibold">
            {t('welcome.title')}
          </h2>
          <p className="mt-1 text-sm text-muted">{t('welcome.lead')}</p>
        </header>
        <Language />
        <Folder />
        <Machine />
        <Model />
        <div className="sticky -bottom-6 -mx-6 -mb-6 flex justify-end gap-2 border-t border-line bg-surface px-6 py-4">
          <Button tone="primary" onClick={() => dialog.current?.close()}>
            {t('welcome.start')}
          </Button>
        </div>
      </div>
    </dialog>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title} className="flex flex-col gap-3 border-t border-line pt-4">
      <h3 className="font-semibold">{title}</h3>
      {children}
    </section>
  );
}

function Language() {
  const { t } = useTranslation();
  const language = useStudio((state) => state.settings.language);
  const change = useStudio((state) => state.changeSettings);
  return (
    <Part title={t('welcome.language')}>
      <Segmented
        label={t('welcome.language')}
        isLabelHidden
        value={language}
        options={[
          { value: 'system', label: t('settings.languageSystem') },
          { value: 'en', label: 'English' },
          { value: 'zh', label: '中文' },
        ]}
        onChange={(chosen) => change({ language: chosen })}
      />
    </Part>
  );
}

function Folder() {
  const { t } = useTranslation();
  const settings = useStudio((state) => state.serverSettings);
  const refresh = useStudio((state) => state.refreshServerSettings);
  useEffect(refresh, [refresh]);
  return <Part title={t('welcome.folder')}>{settings === null ? <KeyNeeded /> : <FolderSetting settings={settings} />}</Part>;
}

/** Device, memory and disk of the server, and a speed test. */
function Machine() {
  const { t } = useTranslation();
  const devices = useStudio((state) => state.devices);
  const refreshDevices = useStudio((state) => state.refreshDevices);
  useEffect(() => refreshDevices(false), [refreshDevices]);
  const bytes = useBytes();
  const info = useStudio((state) => state.info);
  if (info === null) return null;
  const { engine, memory, disk } = info;
  return (
    <Part title={t('welcome.machine')}>
      <Facts>
        <Fact name={t('machine.device')}>
          {providerText(t, engine.device)}
          <span className="text-muted" lang="en">
            {' '}
            · {engine.device_reason}
          </span>
        </Fact>
        {devices?.gpus.map(({ name, driver }) => (
          <Fact key={name} name={t('welcome.gpu')}>
            {name} <span className="text-muted">{t('device.driver', { version: driver })}</span>
          </Fact>
        ))}
        {devices === null && <Fact name={t('welcome.gpu')}>{t('device.trying')}</Fact>}
        {devices?.gpus.length === 0 && <Fact name={t('welcome.gpu')}>{t('welcome.noGpu')}</Fact>}
        <Fact name={t('welcome.memory')}>{t('welcome.memoryText', { free: bytes(memory.free_bytes), total: bytes(memory.total_bytes) })}</Fact>
        <Fact name={t('welcome.disk')}>
          {disk === null ? t('welcome.diskUnknown') : t('welcome.memoryText', { free: bytes(disk.free_bytes), total: bytes(disk.total_bytes) })}
        </Fact>
        <Fact name={t('welcome.time')}>
          <Trial />
        </Fact>
      </Facts>
    </Part>
  );
}

/** Makes a small image, shows it, and shows the time that the server measured. */
function Trial() {
  const { t, i18n } = useTranslation();
  const start = useStudio((state) => state.startTrial);
  const isAsked = useStudio((state) => state.trialSeed !== null);
  const job = useStudio(trialJob);
  const measured = useStudio((state) => state.info?.queue.measured.find(({ width, height }) => width === 256 && height === 256));
  const isRunning = isAsked && (job === null || !isOver(job));
  const number = (milliseconds: number) => new Intl.NumberFormat(i18n.language, { maximumSignificantDigits: 2 }).format(milliseconds / 1000);
  return (
    <div aria-live="polite" className="flex flex-col gap-2">
      {!isRunning && measured !== undefined && (
        <p className="font-medium tabular-nums">
          {measured.upscale_ms === null
            ? t('welcome.measured', { seconds: number(measured.generate_ms) })
            : t('welcome.measuredBoth', { seconds: number(measured.generate_ms), upscaleSeconds: number(measured.upscale_ms) })}
        </p>
      )}
      {isRunning && <TrialProgress />}
      {job?.filename != null && (
        <img
          src={imageUrl(job.upscaledFilename ?? job.filename, 512)}
          alt={t('view.alt', { prompt: job.params?.prompt ?? '' })}
          className="size-40 rounded-md object-cover"
        />
      )}
      {job?.failure != null && <p className="font-medium text-danger">{errorText(t, job.failure)}</p>}
      {!isRunning && (
        <Button className="self-start py-1.5 text-left whitespace-normal!" onClick={() => start(t('example.sailboat'))}>
          {t(measured === undefined ? 'welcome.measure' : 'welcome.measureAgain')}
        </Button>
      )}
      <p className="text-xs text-muted">{t('welcome.measureHelp')}</p>
    </div>
  );
}

function TrialProgress() {
  const { t } = useTranslation();
  const job = useStudio(trialJob);
  if (job === null) return <ProgressBar label={t('welcome.measuring')} fraction={0} isMeasured={false} />;
  const progress = overallProgress(job);
  return (
    <>
      <ProgressBar label={t('welcome.measuring')} fraction={progress.fraction} isMeasured={progress.isMeasured} />
      <p className="text-xs text-muted">{phaseText(t, job, progress)}</p>
    </>
  );
}

/** The models to choose from. A download continues while the window is used. */
function Model() {
  const { t } = useTranslation();
  const models = useStudio((state) => state.models);
  const refresh = useStudio((state) => state.refreshModels);
  useEffect(refresh, [refresh]);
  return (
    <Part title={t('welcome.model')}>
      <p className="text-sm text-muted">{t('welcome.bundled')}</p>
      {models === null ? (
        <p className="text-sm text-muted">{t('gallery.loading')}</p>
      ) : (
        <ul className="flex flex-col divide-y divide-line">
          {models.models
            .filter(({ kind }) => kind !== 'upscaler')
            .sort((one, other) => Number(other.active) - Number(one.active))
            .map((model) => (
              <ModelRow key={model.name} model={model} />
            ))}
        </ul>
      )}
    </Part>
  );
}
