import { type ReactNode, useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { useStudio, useStudioStore } from '../components/use-studio.ts';
import type { SettingsPart } from '../store/screen.ts';
import { AboutSection } from './settings/about-section.tsx';
import { AppearanceSection } from './settings/appearance-section.tsx';
import { DesktopSection } from './settings/desktop-section.tsx';
import { LogSection } from './settings/log-section.tsx';
import { MachineSection } from './settings/machine-section.tsx';
import { NetworkSection } from './settings/network-section.tsx';
import { SpeedSection } from './settings/speed-section.tsx';
import { StorageSection } from './settings/storage-section.tsx';
import { UpdatesSection } from './settings/updates-section.tsx';

const sections: ReadonlyArray<{ part: SettingsPart; Section: () => ReactNode; isForDesktop?: boolean }> = [
  { part: 'appearance', Section: AppearanceSection },
  { part: 'storage', Section: StorageSection },
  { part: 'machine', Section: MachineSection },
  { part: 'speed', Section: SpeedSection },
  { part: 'network', Section: NetworkSection },
  { part: 'desktop', Section: DesktopSection, isForDesktop: true },
  { part: 'updates', Section: UpdatesSection, isForDesktop: true },
  { part: 'log', Section: LogSection },
  { part: 'about', Section: AboutSection },
];

/** All settings of the window, the server and the desktop app, with a list of the sections. */
export function SettingsScreen() {
  const { t } = useTranslation();
  const refreshDesktopSettings = useStudio((state) => state.refreshDesktopSettings);
  const isDesktop = useStudio((state) => state.isDesktop);
  const part = useStudio((state) => state.settingsPart);
  const { showSettings } = useStudioStore().getState();
  useEffect(refreshDesktopSettings, [refreshDesktopSettings]);
  useEffect(() => {
    if (part !== null) document.getElementById(`settings-${part}`)?.scrollIntoView();
  }, [part]);
  const shown = sections.filter(({ isForDesktop = false }) => isDesktop || !isForDesktop);
  return (
    <div className="mx-auto flex max-w-5xl gap-8 p-4 wide:p-8">
      <nav aria-label={t('settings.sections')} className="sticky top-8 hidden w-44 shrink-0 self-start wide:block">
        <ul className="flex flex-col gap-0.5">
          {shown.map((one) => (
            <li key={one.part}>
              <button
                type="button"
                aria-current={one.part === part ? 'true' : undefined}
                className="min-h-9 w-full rounded-md px-3 text-left text-sm text-muted transition-colors hover:bg-hover hover:text-ink aria-[current=true]:bg-accent-soft aria-[current=true]:text-accent"
                onClick={() => {
                  showSettings(one.part);
                  document.getElementById(`settings-${one.part}`)?.scrollIntoView();
                }}
              >
                {t(`settingsPart.${one.part}`)}
              </button>
            </li>
          ))}
        </ul>
      </nav>
      <div className="flex min-w-0 flex-1 flex-col gap-4">
        <h2 className="text-xl font-semibold">{t('settings.label')}</h2>
        {shown.map(({ part: name, Section }) => (
          <div key={name} id={`settings-${name}`} className="scroll-mt-4">
            <Section />
          </div>
        ))}
      </div>
    </div>
  );
}
