import { FolderOpen } from 'lucide-react';
import { type FormEvent, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { type ModelType, modelTypeSchema } from '#shared/domain/job.ts';
import { type ModelAction, type ModelEntry, type ModelLimits, newModelSchema } from '#shared/domain/model.ts';
import { newModelNamed } from '#shared/domain/new-model-named.ts';
import { AboutExtra } from '../../components/about-extra.tsx';
import { Button } from '../../components/button.tsx';
import { Bytes } from '../../components/bytes.tsx';
import { Card } from '../../components/card.tsx';
import { controlClass, Field } from '../../components/field.tsx';
import { ProgressBar } from '../../components/progress-bar.tsx';
import { Select } from '../../components/select.tsx';
import { useStudio } from '../../components/use-studio.ts';
import { errorText } from '../../i18n/error-text.ts';
import { modelTitle } from '../model-picker.tsx';

/** Installed and available models, and the settings for downloads and memory. */
export function ModelsSection() {
  const { t } = useTranslation();
  const models = useStudio((state) => state.models);
  const refresh = useStudio((state) => state.refreshModels);
  useEffect(refresh, [refresh]);
  return (
    <Card heading="h2" title={t('settings.models')} lead={t('models.lead')}>
      {models === null ? (
        <p className="text-sm text-muted">{t('gallery.loading')}</p>
      ) : (
        <>
          <ul className="flex flex-col divide-y divide-line">
            {models.models.map((model) => (
              <ModelRow key={model.name} model={model} />
            ))}
          </ul>
          <AddModel />
          <DownloadLimit limits={models.limits} />
          <UnloadAfter />
        </>
      )}
    </Card>
  );
}

/** The actions for a model in its state, most likely first. */
function actionsOf({ kind, state, source, active }: ModelEntry): ModelAction[] {
  const removing: ModelAction[] = source.type === 'bundled' ? [] : ['remove'];
  switch (state) {
    case 'absent':
      return ['install'];
    case 'queued':
    case 'downloading':
      return ['pause', 'remove'];
    case 'paused':
    case 'failed':
      return ['resume', 'remove'];
    case 'verifying':
      return [];
    case 'installed':
      return [
        ...(active || kind === 'lora' || kind === 'controlnet' ? [] : (['use'] as const)),
        ...(source.type === 'bundled' ? [] : (['verify'] as const)),
        ...removing,
      ];
    case 'damaged':
      return [source.type === 'hub' ? 'install' : 'verify', ...removing];
  }
}

/** A model with its state and actions. */
function ModelRow({ model }: { model: ModelEntry }) {
  const { t, i18n } = useTranslation();
  const act = useStudio((state) => state.actOnModel);
  const [isSure, setSure] = useState(true);
  const { name, kind, state, active, license, source, bytes_total, error } = model;
  const removal = source.type === 'folder' ? t('models.forget') : t('models.reallyRemove');
  const run = (action: ModelAction) => {
    // a long download must not be deleted by one click
    if (action === 'remove' && isSure) setSure(false);
    else act(name, action);
  };
  return (
    <li aria-label={name} className="flex flex-col gap-1.5 py-3 text-sm first:pt-0 last:pb-0">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <div className="min-w-0 flex-1 basis-64">
          <span className="font-medium break-all">
            {isCheckpoint(kind) ? modelTitle(t, { name, model_type: kind, bundled: source.type === 'bundled' }) : name}
          </span>{' '}
          {active && <span className="rounded-full bg-accent-soft px-2 text-xs whitespace-nowrap text-accent">{t('model.active')}</span>}
          <p className="text-xs text-muted">
            {isCheckpoint(kind) ? name : t(`model.${kind}`)} · {state === 'absent' && '≈ '}
            {bytes_total > 0 && <Bytes value={bytes_total} />} · {license} ·{' '}
            {source.type === 'bundled' && state === 'installed' ? t('model.bundled') : t(`modelState.${state}`)}
          </p>
          <AboutExtra {...model} />
          <Fit model={model} />
        </div>
        <div className="flex flex-wrap gap-1">
          {isSure ? (
            actionsOf(model).map((action, at) => (
              <Button
                key={action}
                tone={at > 0 ? 'quiet' : action === 'install' || action === 'resume' ? 'primary' : 'plain'}
                aria-label={`${t(`modelAction.${action}`)}: ${name}`}
                onClick={() => run(action)}
              >
                {t(`modelAction.${action}`)}
              </Button>
            ))
          ) : (
            <>
              <Button tone="danger" autoFocus aria-label={`${removal}: ${name}`} onClick={() => act(name, 'remove')}>
                {removal}
              </Button>
              <Button tone="quiet" aria-label={`${t('models.keep')}: ${name}`} onClick={() => setSure(true)}>
                {t('models.keep')}
              </Button>
            </>
          )}
        </div>
      </div>
      <Progress model={model} />
      {error !== null && (
        <p className="text-xs font-medium break-words text-danger">
          {i18n.language !== 'en' && `${errorText(t, error)} `}
          {error.message}
        </p>
      )}
      {source.path !== null && source.type !== 'bundled' && <p className="font-mono text-xs break-all text-muted">{source.path}</p>}
      <Details model={model} />
    </li>
  );
}

function isCheckpoint(kind: ModelEntry['kind']): kind is ModelType {
  return modelTypeSchema.safeParse(kind).success;
}

/** Whether a model that can be installed fits into this computer's memory and disk. */
function Fit({ model: { kind, source, state, bytes_total } }: { model: ModelEntry }) {
  const { t } = useTranslation();
  const info = useStudio((studio) => studio.info);
  if (info === null || !isCheckpoint(kind) || source.type !== 'hub' || bytes_total === 0) return null;
  const isDiskShort = state === 'absent' && info.disk !== null && info.disk.free_bytes < bytes_total;
  const isMemoryShort = info.memory.total_bytes < bytes_total;
  return (
    <p className={`text-xs ${isDiskShort || isMemoryShort ? 'text-danger' : 'text-accent'}`}>
      {t(isDiskShort ? 'models.diskShort' : isMemoryShort ? 'models.memoryShort' : 'models.fits')}
    </p>
  );
}

function Progress({ model: { name, state, bytes_done, bytes_total, bytes_per_second, seconds_left } }: { model: ModelEntry }) {
  const { t } = useTranslation();
  if (state !== 'downloading' && state !== 'verifying' && state !== 'paused' && state !== 'queued' && state !== 'failed') return null;
  const fraction = bytes_total === 0 ? 0 : Math.min(1, bytes_done / bytes_total);
  return (
    <>
      <ProgressBar label={`${t(`modelState.${state}`)}: ${name}`} fraction={fraction} isMeasured />
      <p className="text-xs text-muted tabular-nums">
        <Bytes value={bytes_done} /> / <Bytes value={bytes_total} />
        {bytes_per_second !== null && (
          <>
            {' '}
            · <Bytes value={bytes_per_second} />
            {t('models.perSecond')}
          </>
        )}
        {seconds_left !== null && seconds_left >= 1 && ` · ${t('models.left', { time: clock(seconds_left) })}`}
      </p>
    </>
  );
}

/** Fingerprint, revision and compilation of a model. */
function Details({ model: { source, identity, compilation } }: { model: ModelEntry }) {
  const { t } = useTranslation();
  if (identity === null) return null;
  return (
    <details className="text-xs text-muted">
      <summary>{t('models.details')}</summary>
      <ul className="flex flex-col gap-0.5 pt-1 break-all">
        <li>
          {t('models.identity')} <span className="font-mono">{identity}</span>
        </li>
        {source.revision !== null && (
          <li>
            {t('models.revision')} <span className="font-mono">{source.revision}</span>
          </li>
        )}
        {compilation === null ? (
          <li>{t('models.notCompiled')}</li>
        ) : (
          <>
            <li>{t('models.compiled', { seconds: (compilation.milliseconds / 1000).toFixed(1) })}</li>
            {compilation.graphs.map((graph) => (
              <li key={graph.name}>
                <span className="font-mono">{graph.name}</span>: <Bytes value={graph.in_place_bytes} /> {t('models.inPlace')},{' '}
                <Bytes value={graph.unpacked_bytes} /> {t('models.written')}
              </li>
            ))}
          </>
        )}
      </ul>
    </details>
  );
}

/** Adds a local folder or a repository to download. */
function AddModel() {
  const { t } = useTranslation();
  const add = useStudio((state) => state.addModel);
  const isDesktop = useStudio((state) => state.isDesktop);
  const chooseFolder = useStudio((state) => state.chooseFolder);
  const [text, setText] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const submit = async (what: string) => {
    const model = newModelNamed(what.trim());
    if (!newModelSchema.safeParse(model).success) return setProblem(t('models.addWrong'));
    setBusy(true);
    const failure = await add(model);
    setBusy(false);
    setProblem(failure === null ? null : failure.code === 'access_key_required' || failure.code === 'unreachable' ? errorText(t, failure) : failure.message);
    if (failure === null) setText('');
  };
  return (
    <form
      className="border-t border-line pt-3"
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        void submit(text);
      }}
    >
      <Field label={t('models.add')} help={t('models.addHelp')} problem={problem}>
        {({ id, describedBy, isWrong }) => (
          <div className="flex flex-wrap gap-2">
            <input
              id={id}
              className={`${controlClass} flex-1 basis-64 font-mono`}
              autoComplete="off"
              spellCheck={false}
              placeholder="OWNER/NAME"
              value={text}
              aria-describedby={describedBy}
              aria-invalid={isWrong}
              onChange={(event) => {
                setText(event.target.value);
                setProblem(null);
              }}
            />
            <Button type="submit" disabled={isBusy || text.trim() === ''}>
              {isBusy ? t('models.looking') : t('models.addAction')}
            </Button>
            {isDesktop && (
              <Button
                onClick={() =>
                  void chooseFolder().then((folder) => {
                    if (folder !== null) void submit(folder);
                  })
                }
              >
                <FolderOpen size="1rem" aria-hidden />
                {t('storage.choose')}
              </Button>
            )}
          </div>
        )}
      </Field>
    </form>
  );
}

const LIMITS = ['0', '1', '5', '20', '100'] as const;

function DownloadLimit({ limits }: { limits: ModelLimits }) {
  const { t } = useTranslation();
  const limit = useStudio((state) => state.limitDownloads);
  const now = limits.bytes_per_second === null ? '0' : String(Math.round(limits.bytes_per_second / 1e6));
  const values = LIMITS.some((value) => value === now) ? LIMITS : [...LIMITS, now];
  return (
    <div className="flex flex-wrap items-center justify-between gap-2 text-sm">
      <span className="font-medium">{t('models.limit')}</span>
      <Select
        label={t('models.limit')}
        value={now}
        options={values.map((value) => ({ value, label: value === '0' ? t('models.noLimit') : `${value} MB${t('models.perSecond')}` }))}
        onChange={(value) => limit({ bytes_per_second: value === '0' ? null : Number(value) * 1e6 })}
      />
    </div>
  );
}

const MINUTES = ['0', '5', '15', '30', '60', '240'] as const;

/** How long an idle model stays in memory. */
function UnloadAfter() {
  const { t } = useTranslation();
  const settings = useStudio((state) => state.serverSettings);
  const refresh = useStudio((state) => state.refreshServerSettings);
  const change = useStudio((state) => state.changeServerSettings);
  useEffect(refresh, [refresh]);
  if (settings === null) return null;
  const now = String(settings.unload_model_after_minutes ?? 0);
  const values = MINUTES.some((value) => value === now) ? MINUTES : [...MINUTES, now];
  return (
    <div className="flex flex-wrap items-center justify-between gap-2 text-sm">
      <span className="font-medium">{t('models.unload')}</span>
      <Select
        label={t('models.unload')}
        value={now}
        options={values.map((value) => ({ value, label: value === '0' ? t('models.keepLoaded') : t('models.minutes', { count: Number(value) }) }))}
        onChange={(value) => void change({ unload_model_after_minutes: value === '0' ? null : Number(value) })}
      />
    </div>
  );
}

function clock(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return `${hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}` : minutes}:${String(Math.floor(seconds) % 60).padStart(2, '0')}`;
}
