import { type ComponentProps, useRef } from 'react';

interface MarkedTextareaProps extends Omit<ComponentProps<'textarea'>, 'value'> {
  value: string;
  /** From this index on the text is marked; null marks nothing. */
  markFrom: number | null;
}

/** What both layers must share, so that the marks lie under their words. */
const layer = 'max-h-64 min-h-28 overflow-y-auto border px-3 py-2 whitespace-pre-wrap break-words [scrollbar-gutter:stable]';

/** A text field that can mark the end of its text: the words lie on a layer that repeats them, unseen but for the mark. */
export function MarkedTextarea({ value, markFrom, className = '', ...rest }: MarkedTextareaProps) {
  const marks = useRef<HTMLDivElement>(null);
  return (
    <div className="relative rounded-md bg-surface">
      {markFrom !== null && (
        <div ref={marks} aria-hidden className={`pointer-events-none absolute inset-0 border-transparent text-transparent ${layer}`}>
          {value.slice(0, markFrom)}
          <mark className="rounded-sm bg-danger-soft text-transparent underline decoration-danger decoration-wavy">{value.slice(markFrom)}</mark>
        </div>
      )}
      <textarea
        value={value}
        className={`relative block w-full resize-none rounded-md bg-transparent field-sizing-content ${layer} ${className}`}
        onScroll={(event) => {
          if (marks.current !== null) marks.current.scrollTop = event.currentTarget.scrollTop;
        }}
        {...rest}
      />
    </div>
  );
}
