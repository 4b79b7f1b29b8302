import { useTranslation } from 'react-i18next';
import { useStudio } from './use-studio.ts';

/** Announces the start and the result of the job on the stage to screen readers, but not every step. */
export function Announcer() {
  const { t } = useTranslation();
  const status = useStudio((state) => (state.selectedId === null ? undefined : state.jobs[state.selectedId]?.status));
  const prompt = useStudio((state) => (state.selectedId === null ? undefined : state.jobs[state.selectedId]?.params?.prompt) ?? '');
  return (
    <p role="status" className="sr-only">
      {status === undefined || status === 'pending' ? '' : t(`announce.${status}`, { prompt })}
    </p>
  );
}
