import { useTranslation } from 'react-i18next';
import { useStudio } from '../../components/use-studio.ts';

/** Stands where the server's answer is not there: because it is still under way, or because it needs the access key. */
export function KeyNeeded() {
  const { t } = useTranslation();
  const isKeyMissing = useStudio((state) => state.isKeyMissing);
  return <p className="text-sm text-muted">{isKeyMissing ? t('settings.keyNeeded') : t('gallery.loading')}</p>;
}
