import { useTranslation } from 'react-i18next';

const units = [
  ['day', 24 * 3600],
  ['hour', 3600],
  ['minute', 60],
] as const;

/** How long an image has been in the bin; nothing if the server does not say. */
export function DeletedAgo({ atMs }: { atMs: number | null }) {
  const { t, i18n } = useTranslation();
  if (atMs === null) return null;
  const seconds = Math.max(0, (Date.now() - atMs) / 1000);
  const [unit, unitSeconds] = units.find(([, size]) => seconds >= size) ?? (['second', 1] as const);
  const format = new Intl.RelativeTimeFormat(i18n.language, { numeric: 'auto' });
  // less than a minute reads "now"
  const time = unit === 'second' ? format.format(0, 'second') : format.format(-Math.floor(seconds / unitSeconds), unit);
  return <span>{t('gallery.deletedAgo', { time })}</span>;
}
