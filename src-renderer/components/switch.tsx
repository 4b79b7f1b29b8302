import { useId } from 'react';

interface SwitchProps {
  label: string;
  help?: string;
  isOn: boolean;
  isDisabled?: boolean;
  onChange(isOn: boolean): void;
}

/** An on/off switch that takes effect at once. */
export function Switch({ label, help, isOn, isDisabled = false, onChange }: SwitchProps) {
  const helpId = useId();
  return (
    <div>
      <label className="flex min-h-8 items-center justify-between gap-4 text-sm font-medium has-disabled:text-muted">
        {label}
        <span className="relative inline-flex shrink-0">
          <input
            type="checkbox"
            className="peer h-6 w-10 cursor-pointer appearance-none rounded-full bg-control transition-colors checked:bg-accent disabled:opacity-50"
            checked={isOn}
            disabled={isDisabled}
            {...(help === undefined ? {} : { 'aria-describedby': helpId })}
            onChange={(event) => onChange(event.target.checked)}
          />
          <span
            aria-hidden
            className="pointer-events-none absolute top-0.5 left-0.5 size-5 rounded-full bg-surface transition-transform peer-checked:translate-x-4"
          />
        </span>
      </label>
      {help !== undefined && (
        <p id={helpId} className="mt-0.5 pr-14 text-xs text-muted">
          {help}
        </p>
      )}
    </div>
  );
}
