import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import type { UpdateState } from '#shared/protocol/desktop.ts';
import { Button } from '../../components/button.tsx';
import { Card } from '../../components/card.tsx';
import { ProgressBar } from '../../components/progress-bar.tsx';
import { Segmented } from '../../components/segmented.tsx';
import { Switch } from '../../components/switch.tsx';
import { useStudio } from '../../components/use-studio.ts';

/** Updates of the desktop app: check, download and install. */
export function UpdatesSection() {
  const { t } = useTranslation();
  const settings = useStudio((state) => state.desktopSettings);
  const change = useStudio((state) => state.changeDesktopSettings);
  const update = useStudio((state) => state.update);
  const askUpdate = useStudio((state) => state.askUpdate);
  useEffect(() => askUpdate('getUpdate'), [askUpdate]);
  if (settings === null || update === null) return null;
  if (update.state === 'off') {
    return (
      <Card title={t('update.title')}>
        <p className="text-sm text-muted">{t(`update.off.${update.reason}`)}</p>
      </Card>
    );
  }
  return (
    <Card title={t('update.title')}>
      <div aria-live="polite" className="flex flex-col gap-3 text-sm">
        <Progress update={update} />
      </div>
      <div className="flex flex-wrap gap-2">
        <Steps update={update} />
      </div>
      <Switch
        label={t('update.automatic')}
        help={t('update.automaticHelp')}
        isOn={settings.checkForUpdates}
        onChange={(checkForUpdates) => change({ checkForUpdates })}
      />
      <Segmented
        label={t('update.channel')}
        value={settings.updateChannel}
        options={[
          { value: 'latest', label: t('update.latest') },
          { value: 'beta', label: t('update.beta') },
        ]}
        onChange={(updateChannel) => change({ updateChannel })}
      />
    </Card>
  );
}

type Live = Exclude<UpdateState, { state: 'off' }>;

/** State of the update in words. */
function Progress({ update }: { update: Live }) {
  const { t, i18n } = useTranslation();
  switch (update.state) {
    case 'none':
      return <p>{update.checkedAt === null ? t('update.unchecked') : t('update.none', { time: new Date(update.checkedAt).toLocaleString(i18n.language) })}</p>;
    case 'checking':
      return <p>{t('update.checking')}</p>;
    case 'failed':
      return <p className="text-danger">{t(`updateFailure.${update.reason}`, { detail: update.detail })}</p>;
    default:
      break;
  }
  const { version, notes, sizeBytes } = update;
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
  return (
    <>
      <p className="font-medium">{t('update.offered', { version, size: megabytes(sizeBytes) })}</p>
      {notes !== '' && (
        <section aria-label={t('update.notes')} className="max-h-60 overflow-auto rounded-md bg-sunken p-3 break-words whitespace-pre-wrap">
          {notes}
        </section>
      )}
      {update.state === 'downloading' && (
        <ProgressBar
          label={t('update.downloading', { received: megabytes(update.receivedBytes), size: megabytes(sizeBytes) })}
          fraction={update.receivedBytes / sizeBytes}
          isMeasured
        />
      )}
      {update.state === 'downloading' && (
        <p className="text-muted">{t('update.downloading', { received: megabytes(update.receivedBytes), size: megabytes(sizeBytes) })}</p>
      )}
      {update.state === 'ready' && (
        <p className="text-muted">{t(update.waitsForJobs ? 'update.waits' : update.atQuit ? 'update.readyAtQuit' : 'update.ready')}</p>
      )}
    </>
  );
}

/** The actions for this state. */
function Steps({ update }: { update: Live }) {
  const { t } = useTranslation();
  const askUpdate = useStudio((state) => state.askUpdate);
  switch (update.state) {
    case 'checking':
      return null;
    case 'none':
    case 'failed':
      return <Button onClick={() => askUpdate('checkForUpdate')}>{t('update.check')}</Button>;
    case 'available':
      return (
        <>
          <Button tone="primary" onClick={() => askUpdate('downloadUpdate')}>
            {t('update.download')}
          </Button>
          <Button onClick={() => askUpdate('checkForUpdate')}>{t('update.check')}</Button>
        </>
      );
    case 'downloading':
      return <Button onClick={() => askUpdate('cancelUpdate')}>{t('update.cancel')}</Button>;
    case 'ready':
      if (update.waitsForJobs) return <Button onClick={() => askUpdate('cancelUpdate')}>{t('update.later')}</Button>;
      return (
        <Button tone="primary" onClick={() => askUpdate('installUpdate')}>
          {t('update.install')}
        </Button>
      );
  }
}
