import { type ComponentProps, type RefObject, useLayoutEffect, useRef } from 'react';

interface MarkedTextareaProps extends Omit<ComponentProps<'textarea'>, 'value' | 'ref'> {
  value: string;
  ref: RefObject<HTMLTextAreaElement | null>;
  /** The text from this index on is highlighted; null highlights nothing. */
  markFrom: number | null;
}

/** Shared by both layers, so the highlight lies under its text. */
const layer = 'max-h-80 min-h-39 overflow-y-auto border px-3 py-2 whitespace-pre-wrap break-words [scrollbar-gutter:stable]';

/** A text field that can highlight the end of its text, on a transparent copy of the text behind it. */
export function MarkedTextarea({ value, ref, markFrom, className = '', ...rest }: MarkedTextareaProps) {
  const marks = useRef<HTMLDivElement>(null);
  const alignMarks = () => {
    if (marks.current !== null && ref.current !== null) marks.current.scrollTop = ref.current.scrollTop;
  };
  // the copy appears or changes while the field is scrolled, for example after a long paste
  // biome-ignore lint/correctness/useExhaustiveDependencies: both change the copy's height
  useLayoutEffect(alignMarks, [value, markFrom]);
  return (
    <div className="relative rounded-md bg-surface">
      {markFrom !== null && (
        <div ref={marks} aria-hidden className={`pointer-events-none absolute inset-0 border-transparent text-transparent ${layer}`}>
          {value.slice(0, markFrom)}
          <mark className="rounded-sm bg-danger-soft text-transparent underline decoration-danger decoration-wavy">{value.slice(markFrom)}</mark>
          {/* a line break at the end of the text has a line of its own in the field, but not in this copy */}
          {value.endsWith('\n') && '\u200b'}
        </div>
      )}
      <textarea
        ref={ref}
        value={value}
        className={`relative block w-full resize-none rounded-md bg-transparent field-sizing-content ${layer} ${className}`}
        onScroll={alignMarks}
        {...rest}
      />
    </div>
  );
}
