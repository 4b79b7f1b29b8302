import type { TFunction } from 'i18next';
import type { en } from './en.ts';

const isKnownCode = (code: string, known: object): code is Exclude<keyof typeof en.error, 'other'> => code in known && code !== 'other';

/** The message for an error code. A code without a translation shows the server's own message. */
export function errorText(t: TFunction, error: { code: string; message: string }): string {
  const known = t('error', { returnObjects: true });
  return isKnownCode(error.code, known) ? t(`error.${error.code}`, { message: error.message }) : t('error.other', { message: error.message });
}
