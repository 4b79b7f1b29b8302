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
  /** Explains the setting and good values; opens below the field. */
  help?: string;
  /** Why the value is invalid. */
  problem?: string | null;
  /** Renders the control. */
  children: (ids: FieldIds) => ReactNode;
  /** Shown at the end of the label's line. */
  aside?: ReactNode;
}

/** A control with its label, help text and problem. */
export function Field({ label, help, problem = null, children, aside }: FieldProps) {
  const { t } = useTranslation();
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  const helpId = `${id}-help`;
  const problemId = `${id}-problem`;
  return (
    <div className="flex min-w-0 flex-col gap-1">
      <div className="flex min-h-6 items-center gap-1">
        <label htmlFor={id} className="text-sm font-medium">
          {label}
        </label>
        {help !== undefined && (
          <button
            type="button"
            aria-expanded={isOpen}
            aria-controls={helpId}
            aria-label={t('field.about', { label })}
            onClick={() => setOpen(!isOpen)}
            className="inline-flex size-6 items-center justify-center rounded-full text-muted hover:text-ink"
          >
            <CircleHelp size="0.875rem" aria-hidden />
          </button>
        )}
        {aside !== undefined && <div className="ml-auto">{aside}</div>}
      </div>
      {children({ id, describedBy: `${helpId} ${problemId}`, isWrong: problem !== null })}
      {help !== undefined && (
        <p id={helpId} hidden={!isOpen} className="text-xs text-muted">
          {help}
        </p>
      )}
      <p id={problemId} className="text-xs font-medium text-danger empty:hidden" aria-live="polite">
        {problem}
      </p>
    </div>
  );
}

export const controlClass =
  'min-h-9 w-full min-w-0 rounded-md border bg-surface px-2.5 text-sm tabular-nums transition-colors border-control hover:border-ink aria-invalid:border-danger';
