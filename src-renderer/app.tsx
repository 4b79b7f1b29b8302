import { Boxes, ImageIcon, Keyboard, Settings2, WandSparkles } from 'lucide-react';
import { useCallback, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Announcer } from './components/announcer.tsx';
import { ConnectionBanner } from './components/connection-banner.tsx';
import { Notices } from './components/notices.tsx';
import { ShortcutSheet } from './components/shortcut-sheet.tsx';
import { useAddress } from './components/use-address.ts';
import { useDoneNotification } from './components/use-done-notification.ts';
import { useShortcuts } from './components/use-shortcuts.ts';
import { useStudio } from './components/use-studio.ts';
import { useTitle } from './components/use-title.ts';
import { useUndoKey } from './components/use-undo-key.ts';
import { ReceiveImages } from './edit/receive-images.tsx';
import { SourceDialog } from './edit/source-dialog.tsx';
import { GalleryScreen } from './screens/gallery-screen.tsx';
import { MakeScreen } from './screens/make-screen.tsx';
import { ModelsScreen } from './screens/models-screen.tsx';
import { SettingsScreen } from './screens/settings-screen.tsx';
import type { Screen } from './store/screen.ts';
import { shownLanguage } from './store/settings.ts';

const screens = [
  { name: 'make', Icon: WandSparkles },
  { name: 'gallery', Icon: ImageIcon },
  { name: 'models', Icon: Boxes },
  { name: 'settings', Icon: Settings2 },
] as const satisfies ReadonlyArray<{ name: Screen; Icon: unknown }>;

/** The window: navigation, the current screen, and the layers above it. */
export function App({ onRetry }: { onRetry: () => void }) {
  const { t } = useTranslation();
  const screen = useStudio((state) => state.screen);
  const show = useStudio((state) => state.show);
  useAppearance();
  useAddress();
  useUndoKey();
  useTitle();
  useDoneNotification();
  const [isHelpOpen, setHelpOpen] = useState(false);
  const openHelp = useCallback(() => setHelpOpen(true), []);
  useShortcuts(openHelp);
  return (
    <div className="flex h-full flex-col wide:flex-row">
      <a href="#main" className="sr-only focus:not-sr-only focus:absolute focus:z-40 focus:rounded-md focus:bg-surface focus:p-3">
        {t('app.skip')}
      </a>
      <nav
        aria-label={t('nav.label')}
        className="order-last flex shrink-0 justify-around border-t border-line bg-surface p-1 wide:order-first wide:w-20 wide:flex-col wide:justify-start wide:gap-1 wide:border-t-0 wide:border-r wide:p-2"
      >
        <img src="./favicon.svg" alt="" className="mx-auto my-2 hidden size-9 wide:block" />
        {screens.map(({ name, Icon }) => (
          <button
            key={name}
            type="button"
            aria-current={name === screen ? 'page' : undefined}
            className="flex min-h-13 min-w-16 flex-col items-center justify-center gap-0.5 rounded-md px-1 text-xs text-muted transition-colors hover:bg-hover hover:text-ink aria-[current=page]:bg-accent-soft aria-[current=page]:font-medium aria-[current=page]:text-accent"
            onClick={() => show(name)}
          >
            <Icon size="1.25rem" aria-hidden />
            {t(`nav.${name}`)}
          </button>
        ))}
        <button
          type="button"
          aria-label={t('shortcut.title')}
          title={t('shortcut.title')}
          className="mt-auto hidden min-h-11 items-center justify-center rounded-md text-muted hover:bg-hover hover:text-ink wide:flex"
          onClick={openHelp}
        >
          <Keyboard size="1.125rem" aria-hidden />
        </button>
      </nav>
      <div className="flex min-h-0 min-w-0 flex-1 flex-col">
        <ConnectionBanner onRetry={onRetry} />
        <main id="main" tabIndex={-1} className="min-h-0 flex-1 overflow-y-auto outline-none">
          <h1 className="sr-only">{`${t(`nav.${screen}`)} – ${t('app.name')}`}</h1>
          {screen === 'make' && <MakeScreen />}
          {screen === 'gallery' && <GalleryScreen />}
          {screen === 'models' && <ModelsScreen />}
          {screen === 'settings' && <SettingsScreen />}
        </main>
      </div>
      <Announcer />
      <Notices />
      <ReceiveImages />
      <SourceDialog />
      {isHelpOpen && <ShortcutSheet onClose={() => setHelpOpen(false)} />}
    </div>
  );
}

/** Applies the language and theme from the settings. */
function useAppearance(): void {
  const { i18n } = useTranslation();
  const { language, theme } = useStudio((state) => state.settings);
  const shown = shownLanguage(language, navigator.languages);
  useEffect(() => {
    document.documentElement.lang = shown;
    void i18n.changeLanguage(shown);
  }, [shown, i18n]);
  useEffect(() => {
    if (theme === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
  }, [theme]);
}
