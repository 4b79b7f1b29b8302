import type { TFunction } from 'i18next';
import type { Problem } from '../store/draft.ts';
import type { en } from './en.ts';

/** The sentence for what is wrong with a field; null where nothing is. */
export function problemText(t: TFunction, problem: Problem | undefined): string | null {
  switch (problem?.kind) {
    case undefined:
      return null;
    case 'promptEmpty':
      return t('problem.promptEmpty');
    case 'promptLong':
      return t('problem.promptLong', problem);
    case 'notWhole':
      return t('problem.notWhole', problem);
    case 'notNumber':
      return t('problem.notNumber', problem);
    case 'notMultiple':
      return t('problem.notMultiple', problem);
    case 'tooManyPixels':
      return t('problem.tooManyPixels', problem);
  }
}

const isKnownCode = (code: string, known: object): code is Exclude<keyof typeof en.error, 'other'> => code in known && code !== 'other';

/** The sentence for an error's code; for a code without one the server's own words. */
export function errorText(t: TFunction, error: { code: string; message: string }): string {
  const known = t('error', { returnObjects: true });
  return isKnownCode(error.code, known) ? t(`error.${error.code}`, { message: error.message }) : t('error.other', { message: error.message });
}
