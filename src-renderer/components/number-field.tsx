import { numberOf } from '../store/draft.ts';
import { controlClass, Field } from './field.tsx';

interface NumberFieldProps {
  label: string;
  help?: string;
  isHelpAtEnd?: boolean;
  value: string;
  placeholder?: string;
  problem?: string | null;
  isDecimal?: boolean;
  isDisabled?: boolean;
  onChange(value: string): void;
  /** Called when the field loses focus, to check the value. */
  onLeave(): void;
  /** The arrow keys change the value by this amount, within `range`. */
  step?: number;
  range?: { min: number; max: number };
}

/** A number kept as text, so an invalid one stays visible and can be explained. */
export function NumberField({
  label,
  help,
  isHelpAtEnd = false,
  value,
  placeholder,
  problem,
  isDecimal = false,
  isDisabled = false,
  onChange,
  onLeave,
  step = 1,
  range,
}: NumberFieldProps) {
  const change = (by: number) => {
    const number = numberOf(value);
    if (range === undefined || Number.isNaN(number)) return;
    onChange(String(Math.min(range.max, Math.max(range.min, number + by))));
  };
  return (
    <Field label={label} {...(help === undefined ? {} : { help })} isHelpAtEnd={isHelpAtEnd} problem={problem ?? null}>
      {({ id, describedBy, isWrong }) => (
        <input
          id={id}
          className={controlClass}
          inputMode={isDecimal ? 'decimal' : 'numeric'}
          autoComplete="off"
          value={value}
          placeholder={placeholder}
          disabled={isDisabled}
          aria-describedby={describedBy}
          aria-invalid={isWrong}
          onChange={(event) => onChange(event.target.value)}
          onBlur={onLeave}
          onKeyDown={(event) => {
            if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return;
            event.preventDefault();
            change(event.key === 'ArrowUp' ? step : -step);
          }}
        />
      )}
    </Field>
  );
}
