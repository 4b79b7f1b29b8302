import type { TFunction } from 'i18next';
import type { Problem } from '../store/draft.ts';

/** The message for an invalid field, or null if it is valid. */
export function problemText(t: TFunction, problem: Problem | undefined): string | null {
  switch (problem?.kind) {
    case undefined:
      return null;
    case 'promptEmpty':
      return t('problem.promptEmpty');
    case 'promptLong':
      return t('problem.promptLong', problem);
    case 'tooManyImages':
      return t('problem.tooManyImages', problem);
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
