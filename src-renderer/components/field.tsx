import { CircleHelp } from 'lucide-react';
import { type ReactNode, useId, useState } from 'react';
import { useTranslation } from 'react-i18next';

/** Connects a control with its label, help and problem. */
export interface FieldIds {
  id: string;
  describedBy: string;
  isWrong: boolean;
}

interface FieldProps {
  label: string;
  /** Explains the setting and good values; opens over what is below the field, so nothing moves. */
  help?: string;
  /** Aligns the help with the end of the field, for a field at the right edge. */
  isHelpAtEnd?: boolean;
  /** Why the value is invalid. */
  problem?: string | null;
  /** Renders the control. */
  children: (ids: FieldIds) => ReactNode;
  /** Shown at the end of the label's line. */
  aside?: ReactNode;
}

/** A control with its label, help text and problem. */
export function Field({ label, help, isHelpAtEnd = false, problem = null, children, aside }: FieldProps) {
  const { t } = useTranslation();
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  const helpId = `${id}-help`;
  const problemId = `${id}-problem`;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape inside the field closes its help
    <div
      className="relative flex min-w-0 flex-col gap-1"
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !isOpen) return;
        event.stopPropagation();
        setOpen(false);
      }}
    >
      <div className="flex min-h-6 items-center gap-1">
        <label htmlFor={id} className="truncate text-sm font-medium">
          {label}
        </label>
        {help !== undefined && (
          <button
            type="button"
            aria-expanded={isOpen}
            aria-controls={helpId}
            aria-label={t('field.about', { label })}
            onClick={() => setOpen(!isOpen)}
            onBlur={() => setOpen(false)}
            className="inline-flex size-6 items-center justify-center rounded-full text-muted hover:text-ink"
          >
            <CircleHelp size="0.875rem" aria-hidden />
          </button>
        )}
        {aside !== undefined && <div className="ml-auto">{aside}</div>}
      </div>
      {children({ id, describedBy: `${helpId} ${problemId}`, isWrong: problem !== null })}
      <p id={problemId} className="text-xs font-medium text-danger empty:hidden" aria-live="polite">
        {problem}
      </p>
      {help !== undefined && (
        <p
          id={helpId}
          hidden={!isOpen}
          className={`absolute top-full z-20 mt-1 w-64 max-w-[80vw] rounded-md border border-line bg-surface p-3 text-xs text-ink shadow-float ${isHelpAtEnd ? 'right-0' : 'left-0'}`}
        >
          {help}
        </p>
      )}
    </div>
  );
}

export const controlClass =
  'min-h-9 w-full min-w-0 rounded-md border bg-surface px-2.5 text-sm tabular-nums transition-colors border-control hover:border-ink aria-invalid:border-danger';
