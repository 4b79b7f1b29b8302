import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Card } from '../../components/card.tsx';
import { ScrollBox } from '../../components/scroll-box.tsx';
import { useStudio } from '../../components/use-studio.ts';

/** Version, licences and links. */
export function AboutSection() {
  const { t } = useTranslation();
  const version = useStudio((state) => state.info?.version);
  const [notices, setNotices] = useState<string | null>(null);
  return (
    <Card title={t('settings.about')}>
      <div className="flex flex-col gap-2 text-sm">
        <p>
          <span className="font-medium">{t('app.name')}</span> {version}
        </p>
        <p className="text-muted">{t('settings.aboutText')}</p>
        <p className="text-muted">{t('settings.licences')}</p>
        <p>
          {t('settings.api')}:{' '}
          <a className="text-accent underline underline-offset-2" href="/docs" target="_blank" rel="noreferrer">
            {t('settings.apiLink')}
          </a>
        </p>
        <details
          onToggle={(event) => {
            if (event.currentTarget.open && notices === null) void import('../../../THIRD-PARTY.md?raw').then((file) => setNotices(file.default));
          }}
        >
          <summary>{t('settings.thirdParty')}</summary>
          <ScrollBox label={t('settings.thirdParty')} className="max-h-80 rounded-md bg-sunken p-3">
            <pre className="font-mono text-xs break-words whitespace-pre-wrap">{notices}</pre>
          </ScrollBox>
        </details>
      </div>
    </Card>
  );
}
