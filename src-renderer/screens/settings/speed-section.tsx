import { useTranslation } from 'react-i18next';
import { Bytes } from '../../components/bytes.tsx';
import { Card } from '../../components/card.tsx';
import { useDuration } from '../../components/use-duration.ts';
import { useStudio } from '../../components/use-studio.ts';

/** Time per image by model and size as bars, and the disk of the image folder. */
export function SpeedSection() {
  const { t } = useTranslation();
  const duration = useDuration();
  const info = useStudio((state) => state.info);
  if (info === null || (info.queue.measured.length === 0 && info.disk === null)) return null;
  const rows = info.queue.measured
    .map((one) => ({ ...one, totalMs: one.generate_ms + (one.upscale_ms ?? 0) }))
    .sort((a, b) => a.checkpoint.localeCompare(b.checkpoint) || a.width * a.height - b.width * b.height || a.steps - b.steps);
  const longestMs = Math.max(...rows.map(({ totalMs }) => totalMs));
  return (
    <Card title={t('speed.title')} lead={t('speed.lead')}>
      <ul className="flex flex-col gap-2 text-xs text-muted tabular-nums">
        {rows.map(({ checkpoint, width, height, steps, generate_ms, upscale_ms, totalMs }) => (
          <li key={`${checkpoint} ${width} ${height} ${steps}`}>
            <p className="flex justify-between gap-3">
              <span className="min-w-0 truncate">
                {checkpoint} · {width} × {height} · {t('detail.steps')} {steps}
              </span>
              <span className="text-ink">{duration(totalMs)}</span>
            </p>
            <div aria-hidden className="mt-1 flex h-2 gap-0.5">
              <span className="rounded-full bg-accent" style={{ width: `${(generate_ms / longestMs) * 100}%` }} />
              <span className="rounded-full bg-control" style={{ width: `${((upscale_ms ?? 0) / longestMs) * 100}%` }} />
            </div>
          </li>
        ))}
      </ul>
      {rows.length > 0 && (
        <p aria-hidden className="flex gap-4 text-xs text-muted">
          <Key className="bg-accent">{t('speed.drawing')}</Key>
          <Key className="bg-control">{t('speed.upscaling')}</Key>
        </p>
      )}
      {info.disk !== null && (
        <p className="text-sm">
          {t('speed.disk')} <Bytes value={info.disk.free_bytes} /> / <Bytes value={info.disk.total_bytes} />
        </p>
      )}
    </Card>
  );
}

function Key({ className, children }: { className: string; children: string }) {
  return (
    <span className="flex items-center gap-1.5">
      <span className={`size-2 rounded-full ${className}`} />
      {children}
    </span>
  );
}
