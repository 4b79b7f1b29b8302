import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { isOver } from '../store/jobs.ts';
import { overallProgress } from '../store/overall-progress.ts';
import { useStudio } from './use-studio.ts';

const FAVICON = './favicon.svg';

/** Shows the progress of this window's images in the title and the icon of its tab. */
export function useTitle(): void {
  const { t } = useTranslation();
  const percent = useStudio(({ jobs, batch, requests }) => {
    const mine = batch.flatMap(({ jobId }) => (jobId === null ? [] : (jobs[jobId] ?? [])));
    const isDone = mine.every(isOver) && Object.keys(requests).length === 0;
    if (mine.length === 0 || isDone) return null;
    const fraction = mine.reduce((sum, job) => sum + (isOver(job) ? 1 : overallProgress(job).fraction), 0) / batch.length;
    return Math.floor(fraction * 100);
  });
  const prompt = useStudio(({ jobs, selectedId }) => (selectedId === null ? null : (jobs[selectedId]?.params?.prompt ?? null)));
  const name = t('app.name');
  useEffect(() => {
    document.title = percent === null ? name : `${percent} % · ${prompt === null ? name : prompt.slice(0, 60)}`;
  }, [percent, prompt, name]);
  useEffect(() => {
    const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]');
    if (icon !== null) icon.href = percent === null ? FAVICON : ringOf(percent);
  }, [percent]);
}

/** A ring that is filled clockwise, as an SVG address. The icon of a tab knows no theme, so its colours are fixed. */
function ringOf(percent: number): string {
  const ring = (colour: string, share: number) =>
    `<circle cx="16" cy="16" r="12" fill="none" stroke="${colour}" stroke-width="7" pathLength="100" stroke-dasharray="${share} 100" transform="rotate(-90 16 16)"/>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${ring('#9aa5a1', 100)}${ring('#0b6b5d', percent)}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
