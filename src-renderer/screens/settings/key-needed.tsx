import { useTranslation } from 'react-i18next';
import { useStudio } from '../../components/use-studio.ts';

/** Placeholder for data that is still loading or that needs the access key. */
export function KeyNeeded() {
  const { t } = useTranslation();
  const isKeyMissing = useStudio((state) => state.isKeyMissing);
  return <p className="text-sm text-muted">{isKeyMissing ? t('settings.keyNeeded') : t('gallery.loading')}</p>;
}
