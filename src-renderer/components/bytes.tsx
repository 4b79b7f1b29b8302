import { useTranslation } from 'react-i18next';

/** Formats a size in MB or GB in the current language. */
export function useBytes(): (value: number) => string {
  const { i18n } = useTranslation();
  return (value) => {
    const isLarge = value >= 1e9;
    const format = new Intl.NumberFormat(i18n.language, { style: 'unit', unit: isLarge ? 'gigabyte' : 'megabyte', maximumFractionDigits: isLarge ? 1 : 0 });
    return format.format(value / (isLarge ? 1e9 : 1e6));
  };
}

/** A size in MB or GB. */
export function Bytes({ value }: { value: number }) {
  return <>{useBytes()(value)}</>;
}
