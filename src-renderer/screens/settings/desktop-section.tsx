import { useTranslation } from 'react-i18next';
import { Card } from '../../components/card.tsx';
import { Switch } from '../../components/switch.tsx';
import { useStudio } from '../../components/use-studio.ts';

/** Tray, autostart and notifications of the desktop app. */
export function DesktopSection() {
  const { t } = useTranslation();
  const settings = useStudio((state) => state.desktopSettings);
  const change = useStudio((state) => state.changeDesktopSettings);
  if (settings === null) return null;
  return (
    <Card title={t('desktop.title')}>
      <Switch label={t('desktop.tray')} help={t('desktop.trayHelp')} isOn={settings.closeToTray} onChange={(closeToTray) => change({ closeToTray })} />
      <Switch label={t('desktop.login')} help={t('desktop.loginHelp')} isOn={settings.startAtLogin} onChange={(startAtLogin) => change({ startAtLogin })} />
      <Switch
        label={t('desktop.notify')}
        help={t('desktop.notifyHelp')}
        isOn={settings.notifications}
        onChange={(notifications) => change({ notifications })}
      />
    </Card>
  );
}
