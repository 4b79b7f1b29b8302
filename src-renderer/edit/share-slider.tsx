interface ShareSliderProps {
  label: string;
  value: number;
  min?: number;
  max?: number;
  step?: number;
  onChange(value: number): void;
}

/** A share in percent. */
export function ShareSlider({ label, value, min = 0, max = 1, step = 0.05, onChange }: ShareSliderProps) {
  return (
    <label className="flex flex-col gap-1 text-sm">
      <span className="flex justify-between font-medium">
        {label}
        <span className="text-muted tabular-nums">{Math.round(value * 100)} %</span>
      </span>
      <input type="range" className="accent-accent" min={min} max={max} step={step} value={value} onChange={(event) => onChange(Number(event.target.value))} />
    </label>
  );
}
