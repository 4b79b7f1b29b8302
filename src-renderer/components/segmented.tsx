import { type ReactNode, useId } from 'react';

interface SegmentedProps<T extends string> {
  label: string;
  /** Null if none of the options is current. */
  value: T | null;
  options: ReadonlyArray<{ value: T; label: ReactNode; title?: string }>;
  onChange(value: T): void;
  isLabelHidden?: boolean;
}

/** Radio buttons in a row. */
export function Segmented<T extends string>({ label, value, options, onChange, isLabelHidden = false }: SegmentedProps<T>) {
  const name = useId();
  return (
    <fieldset className="min-w-0">
      <legend className={isLabelHidden ? 'sr-only' : 'mb-1 flex min-h-6 items-center text-sm font-medium'}>{label}</legend>
      <div className="flex gap-0.5 rounded-md bg-sunken p-0.5">
        {options.map((option) => (
          <label
            key={option.value}
            title={option.title}
            className="flex min-h-8 min-w-0 flex-1 items-center justify-center gap-1 rounded-sm px-1 text-center text-sm text-muted transition-colors hover:text-ink has-checked:bg-selected has-checked:font-medium has-checked:text-ink has-focus-visible:outline-2 has-focus-visible:outline-accent"
          >
            <input type="radio" className="sr-only" name={name} value={option.value} checked={option.value === value} onChange={() => onChange(option.value)} />
            {option.label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
