import { useTranslation } from 'react-i18next';
import { Card } from '../../components/card.tsx';
import { Segmented } from '../../components/segmented.tsx';
import { Switch } from '../../components/switch.tsx';
import { canNotify } from '../../components/use-done-notification.ts';
import { useStudio } from '../../components/use-studio.ts';

/** Language and theme of this browser. */
export function AppearanceSection() {
  const { t } = useTranslation();
  const settings = useStudio((state) => state.settings);
  const changeSettings = useStudio((state) => state.changeSettings);
  return (
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
      <NotifySwitch />
    </Card>
  );
}

/** Asks the browser for its permission when it is switched on. */
function NotifySwitch() {
  const { t } = useTranslation();
  const isDesktop = useStudio((state) => state.isDesktop);
  const isOn = useStudio((state) => state.settings.notifiesWhenDone);
  const changeSettings = useStudio((state) => state.changeSettings);
  if (isDesktop) return null;
  const change = async (wanted: boolean) => changeSettings({ notifiesWhenDone: wanted && (await Notification.requestPermission()) === 'granted' });
  return (
    <Switch
      label={t('desktop.notify')}
      help={t(canNotify ? 'desktop.notifyHelp' : 'settings.notifyNeedsHttps')}
      isOn={isOn && canNotify}
      isDisabled={!canNotify}
      onChange={(wanted) => void change(wanted).catch(() => changeSettings({ notifiesWhenDone: false }))}
    />
  );
}
