interface SelectProps<T extends string> {
  /** The accessible name. */
  label: string;
  value: T;
  options: ReadonlyArray<{ value: T; label: string }>;
  onChange(value: T): void;
  /** Shows long options in full instead of limiting the width. */
  isWide?: boolean;
}

/** A dropdown list. */
export function Select<T extends string>({ label, value, options, onChange, isWide = false }: SelectProps<T>) {
  return (
    <select
      aria-label={label}
      className={`min-h-9 min-w-0 max-w-full rounded-md border border-control bg-surface px-2 text-sm hover:border-ink ${isWide ? '' : 'wide:max-w-32'}`}
      value={value}
      onChange={(event) => {
        const chosen = options.find((option) => option.value === event.target.value);
        if (chosen !== undefined) onChange(chosen.value);
      }}
    >
      {options.map((option) => (
        <option key={option.value} value={option.value}>
          {option.label}
        </option>
      ))}
    </select>
  );
}
