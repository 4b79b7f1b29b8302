import { type ReactNode, useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { Segmented } from '../components/segmented.tsx';
import { useStudio } from '../components/use-studio.ts';

/** Language and theme, what the machine does, and what this program is. */
export function SettingsScreen() {
  const { t } = useTranslation();
  const settings = useStudio((state) => state.settings);
  const changeSettings = useStudio((state) => state.changeSettings);
  const info = useStudio((state) => state.info);
  const refreshInfo = useStudio((state) => state.refreshInfo);
  useEffect(refreshInfo, [refreshInfo]);
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-4 p-4 wide:p-8">
      <h2 className="text-xl font-semibold">{t('settings.label')}</h2>
      <Card title={t('settings.appearance')}>
        <div className="grid gap-4 wide:grid-cols-2">
          <Segmented
            label={t('settings.language')}
            value={settings.language}
            options={[
              { value: 'system', label: t('settings.languageSystem') },
              { value: 'en', label: 'English' },
              { value: 'zh', label: '中文' },
            ]}
            onChange={(language) => changeSettings({ language })}
          />
          <Segmented
            label={t('settings.theme')}
            value={settings.theme}
            options={[
              { value: 'system', label: t('settings.themeSystem') },
              { value: 'light', label: t('settings.themeLight') },
              { value: 'dark', label: t('settings.themeDark') },
            ]}
            onChange={(theme) => changeSettings({ theme })}
          />
        </div>
      </Card>
      <Card title={t('settings.machine')}>
        {info === null ? (
          <p className="text-sm text-muted">{t('machine.unknown')}</p>
        ) : (
          <dl className="grid grid-cols-[max-content_minmax(0,1fr)] gap-x-6 gap-y-2 text-sm">
            <Fact name={t('machine.device')}>
              {info.engine.device} <span className="text-muted">{info.engine.device_reason}</span>
            </Fact>
            <Fact name={t('machine.engine')}>{t(`engineState.${info.engine.state}`)}</Fact>
            <Fact name={t('machine.memory')}>
              <Bytes value={info.engine.resident_bytes + info.memory.server_bytes} /> / <Bytes value={info.memory.total_bytes} />
            </Fact>
            <Fact name={t('machine.queue')}>{t('machine.queueText', { running: info.queue.running, waiting: info.queue.waiting })}</Fact>
          </dl>
        )}
      </Card>
      {info !== null && (
        <Card title={t('settings.models')}>
          <ul className="flex flex-col divide-y divide-line">
            {info.models.map((model) => (
              <li key={model.name} className="flex flex-wrap items-baseline gap-x-3 gap-y-0.5 py-2.5 text-sm first:pt-0 last:pb-0">
                <span className="font-medium break-all">{model.name}</span>
                {model.active && <span className="rounded-full bg-accent-soft px-2 text-xs text-accent">{t('model.active')}</span>}
                <span className="text-xs text-muted">
                  {model.model_type} · <Bytes value={model.size_bytes} /> · {model.license}
                  {model.bundled && ` · ${t('model.bundled')}`}
                </span>
              </li>
            ))}
            {info.upscaler !== null && (
              <li className="flex flex-wrap items-baseline gap-x-3 py-2.5 text-sm last:pb-0">
                <span className="font-medium break-all">{info.upscaler.name}</span>
                <span className="text-xs text-muted">
                  {t('model.upscaler')} · {info.upscaler.license}
                </span>
              </li>
            )}
          </ul>
        </Card>
      )}
      <Card title={t('settings.about')}>
        <div className="flex flex-col gap-2 text-sm">
          <p>
            <span className="font-medium">{t('app.name')}</span> {info?.version}
          </p>
          <p className="text-muted">{t('settings.aboutText')}</p>
          <p className="text-muted">{t('settings.licences')}</p>
          <p>
            {t('settings.api')}:{' '}
            <a className="text-accent underline underline-offset-2" href="/docs" target="_blank" rel="noreferrer">
              {t('settings.apiLink')}
            </a>
          </p>
        </div>
      </Card>
    </div>
  );
}

function Card({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="rounded-lg border border-line bg-surface p-5">
      <h3 className="mb-3 font-semibold">{title}</h3>
      {children}
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-muted">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  );
}

/** A size in MB or GB as people count it, by the language on show. */
function Bytes({ value }: { value: number }) {
  const { i18n } = useTranslation();
  const isLarge = value >= 1e9;
  const format = new Intl.NumberFormat(i18n.language, { style: 'unit', unit: isLarge ? 'gigabyte' : 'megabyte', maximumFractionDigits: isLarge ? 1 : 0 });
  return <>{format.format(value / (isLarge ? 1e9 : 1e6))}</>;
}
