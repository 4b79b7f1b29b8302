import { useTranslation } from 'react-i18next';

/** Formats milliseconds as `0.8s`, `12s`, `3m` or `1.5h`, in the language of the window. */
export function useDuration(): (ms: number) => string {
  const { i18n } = useTranslation();
  return (ms) => {
    const seconds = ms / 1000;
    const [value, unit] = seconds < 90 ? [seconds, 'second'] : seconds < 5400 ? [seconds / 60, 'minute'] : [seconds / 3600, 'hour'];
    const digits = value < 10 && unit !== 'minute' ? 1 : 0;
    return new Intl.NumberFormat(i18n.language, { style: 'unit', unit, unitDisplay: 'narrow', maximumFractionDigits: digits }).format(value);
  };
}
