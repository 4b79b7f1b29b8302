import { useTranslation } from 'react-i18next';
import { Card } from '../../components/card.tsx';
import { Segmented } from '../../components/segmented.tsx';
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
    </Card>
  );
}
