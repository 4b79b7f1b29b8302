import { type ReactNode, useEffect, useRef, useState } from 'react';

interface PopoverProps {
  /** Renders the button with these props. */
  button(props: { 'aria-expanded': boolean; onClick: () => void }): ReactNode;
  /** Where the content opens, as utility classes. */
  place: string;
  children: (close: () => void) => ReactNode;
}

/** A button that opens content over the page. It closes on Escape, on a click outside, and by `close`. */
export function Popover({ button, place, children }: PopoverProps) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (!isOpen) return;
    const closeOutside = (event: PointerEvent) => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener('pointerdown', closeOutside);
    return () => document.removeEventListener('pointerdown', closeOutside);
  }, [isOpen]);

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape pressed on anything inside closes the content
    <div
      ref={root}
      className="relative"
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !isOpen) return;
        event.stopPropagation();
        setOpen(false);
        root.current?.querySelector('button')?.focus();
      }}
    >
      {button({ 'aria-expanded': isOpen, onClick: () => setOpen(!isOpen) })}
      {isOpen && (
        <div className={`absolute z-20 animate-appear rounded-md border border-line bg-surface p-1 shadow-float ${place}`}>
          {children(() => setOpen(false))}
        </div>
      )}
    </div>
  );
}
