interface ProgressBarProps {
  label: string;
  /** 0 to 1. */
  fraction: number;
  /** False shows activity without a percentage. */
  isMeasured: boolean;
}

export function ProgressBar({ label, fraction, isMeasured }: ProgressBarProps) {
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(fraction * 100)}
      aria-valuetext={label}
      className="relative h-1.5 overflow-hidden rounded-full bg-sunken"
    >
      <div className="h-full origin-left rounded-full bg-accent transition-transform duration-300" style={{ transform: `scaleX(${fraction})` }} />
      {!isMeasured && <div className="absolute inset-y-0 left-0 w-1/4 animate-work rounded-full bg-accent/50" />}
    </div>
  );
}
