import { X } from 'lucide-react';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { AboutExtra } from '../components/about-extra.tsx';
import { IconButton } from '../components/button.tsx';
import { useStudio, useStudioStore } from '../components/use-studio.ts';

const MOST = 4;

/** The LoRAs of the next images with their weights. Nothing is shown where none is installed. */
export function LoraPicker() {
  const { t } = useTranslation();
  const installed = useStudio((state) => state.installedLoras);
  const chosen = useStudio((state) => state.chosenLoras);
  const { refreshLoras, chooseLoras } = useStudioStore().getState();
  useEffect(refreshLoras, [refreshLoras]);
  if (installed.length === 0) return null;
  const free = installed.filter(({ name }) => !chosen.some((lora) => lora.name === name));
  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="mb-1 text-sm font-medium">{t('edit.loras')}</legend>
      {chosen.map((lora) => (
        <div key={lora.name} className="flex flex-wrap items-center gap-x-2 text-sm">
          <label className="flex min-w-0 flex-1 items-center gap-2">
            <span className="min-w-0 flex-1 truncate" title={lora.name}>
              {lora.name}
            </span>
            <input
              type="range"
              className="w-24 accent-accent"
              min={-1}
              max={2}
              step={0.05}
              value={lora.weight}
              onChange={(event) => chooseLoras(chosen.map((one) => (one.name === lora.name ? { ...one, weight: Number(event.target.value) } : one)))}
            />
            <span className="w-9 text-xs text-muted tabular-nums">{lora.weight.toFixed(2)}</span>
          </label>
          <IconButton className="size-7" label={t('edit.removeLora', { name: lora.name })} onClick={() => chooseLoras(chosen.filter((one) => one !== lora))}>
            <X size="1rem" aria-hidden />
          </IconButton>
          <AboutExtra {...installed.find(({ name }) => name === lora.name)} />
        </div>
      ))}
      {free.length > 0 && chosen.length < MOST && (
        <select
          aria-label={t('edit.addLora')}
          className="min-h-9 rounded-md border border-control bg-surface px-2 text-sm"
          value=""
          onChange={(event) => {
            const lora = free.find(({ name }) => name === event.target.value);
            if (lora !== undefined) chooseLoras([...chosen, { name: lora.name, identity: lora.identity, weight: 1 }]);
          }}
        >
          <option value="">{t('edit.addLora')}</option>
          {free.map(({ name }) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      )}
    </fieldset>
  );
}
