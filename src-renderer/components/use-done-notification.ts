import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { isOver } from '../store/jobs.ts';
import { useStudioStore } from './use-studio.ts';

/** Browsers notify from pages with https, or from this computer; the desktop app has its own notifications. */
export const canNotify = window.isSecureContext && 'Notification' in window && 'serviceWorker' in navigator;

/** Notifies when the images of this window are finished while its tab is hidden. */
export function useDoneNotification(): void {
  const { t } = useTranslation();
  const store = useStudioStore();
  useEffect(
    () =>
      store.subscribe((state, before) => {
        if (state.jobs === before.jobs || !document.hidden || !state.settings.notifiesWhenDone || state.isDesktop || !canNotify) return;
        const isDone = ({ jobs, batch }: typeof state) =>
          batch.length > 0 && batch.every(({ jobId }) => jobId !== null && jobs[jobId] !== undefined && isOver(jobs[jobId]));
        if (!isDone(state) || isDone(before) || Notification.permission !== 'granted') return;
        const [first] = state.batch;
        const prompt = first?.jobId == null ? '' : (state.jobs[first.jobId]?.params?.prompt ?? '');
        const title = t('notification.done', { count: state.batch.length });
        // not `new Notification`, which phones refuse
        navigator.serviceWorker.ready
          .then((registration) => registration.showNotification(title, { body: prompt, icon: './favicon.svg', tag: 'done' }))
          .catch((thrown: unknown) => console.warn('no notification:', thrown));
      }),
    [store, t],
  );
}
