import { useTranslation } from 'react-i18next';
import type { Info } from '#shared/protocol/http.ts';
import { Bytes } from '../../components/bytes.tsx';
import { Card } from '../../components/card.tsx';

/** The models that are there and which of them run. */
export function ModelsCard({ info }: { info: Info }) {
  const { t } = useTranslation();
  return (
    <Card title={t('settings.models')}>
      <ul className="flex flex-col divide-y divide-line">
        {info.models.map((model) => (
          <li key={model.name} className="flex flex-wrap items-baseline gap-x-3 gap-y-0.5 py-2.5 text-sm first:pt-0 last:pb-0">
            <span className="font-medium break-all">{model.name}</span>
            {model.active && <span className="rounded-full bg-accent-soft px-2 text-xs text-accent">{t('model.active')}</span>}
            <span className="text-xs text-muted">
              {model.model_type} · <Bytes value={model.size_bytes} /> · {model.license}
              {model.bundled && ` · ${t('model.bundled')}`}
            </span>
          </li>
        ))}
        {info.upscaler !== null && (
          <li className="flex flex-wrap items-baseline gap-x-3 py-2.5 text-sm last:pb-0">
            <span className="font-medium break-all">{info.upscaler.name}</span>
            <span className="text-xs text-muted">
              {t('model.upscaler')} · {info.upscaler.license}
            </span>
          </li>
        )}
      </ul>
    </Card>
  );
}
