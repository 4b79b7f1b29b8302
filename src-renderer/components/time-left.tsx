import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import type { Job } from '../store/jobs.ts';
import { type OverallProgress, timeLeft } from '../store/overall-progress.ts';

/** Countdown to the end of a job; empty if there is no estimate. */
export function TimeLeft({ job, progress }: { job: Job; progress: OverallProgress }) {
  const { t } = useTranslation();
  const [nowMs, setNowMs] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const time = timeLeft(job, progress, nowMs);
  return time === null ? null : <span className="whitespace-nowrap tabular-nums">{t('phase.remaining', { time })}</span>;
}
