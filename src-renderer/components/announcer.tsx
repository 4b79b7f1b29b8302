import { useTranslation } from 'react-i18next';
import { useStudio } from './use-studio.ts';

/** Tells a screen reader what became of the image on the stage: when it starts and how it ends, not every step. */
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
