import { Notification } from 'electron';
import type { EndedJob } from './activity.ts';
import type { Texts } from './texts.ts';

/** Shown notifications. Without a reference the garbage collector takes a notification, and its click is lost. */
const shown = new Set<Notification>();

/** Shows that a job ended. `onClick` opens its image. */
export function notifyEnded(texts: Texts, job: EndedJob, iconPath: string, onClick: () => void): void {
  if (!Notification.isSupported()) return;
  const [title, body] = job.status === 'completed' ? [texts.completedTitle, texts.completedBody] : [texts.failedTitle, job.error ?? ''];
  const notification = new Notification({ title, body, icon: iconPath });
  shown.add(notification);
  notification.once('click', () => {
    shown.delete(notification);
    onClick();
  });
  notification.once('close', () => shown.delete(notification));
  notification.show();
}
