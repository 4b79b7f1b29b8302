import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { useStudio } from '../components/use-studio.ts';
import { AboutSection } from './settings/about-section.tsx';
import { AppearanceSection } from './settings/appearance-section.tsx';
import { DesktopSection } from './settings/desktop-section.tsx';
import { LogSection } from './settings/log-section.tsx';
import { MachineSection } from './settings/machine-section.tsx';
import { ModelsSection } from './settings/models-section.tsx';
import { NetworkSection } from './settings/network-section.tsx';
import { StorageSection } from './settings/storage-section.tsx';
import { UpdatesSection } from './settings/updates-section.tsx';

/** All settings of the window, the server and the desktop app. */
export function SettingsScreen() {
  const { t } = useTranslation();
  const refreshDesktopSettings = useStudio((state) => state.refreshDesktopSettings);
  useEffect(refreshDesktopSettings, [refreshDesktopSettings]);
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-4 p-4 wide:p-8">
      <h2 className="text-xl font-semibold">{t('settings.label')}</h2>
      <AppearanceSection />
      <MachineSection />
      <ModelsSection />
      <StorageSection />
      <NetworkSection />
      <DesktopSection />
      <UpdatesSection />
      <LogSection />
      <AboutSection />
    </div>
  );
}
