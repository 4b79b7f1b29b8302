import { type ReactNode, useEffect, useRef, useState } from 'react';
import { Button } from './button.tsx';

interface MenuProps {
  label: ReactNode;
  items: ReadonlyArray<{ label: string; onChoose: () => void } | { label: string; href: string; download: string }>;
}

/** A button with a list of actions. The list closes after a choice, on Escape, and on a click outside. */
export function Menu({ label, items }: MenuProps) {
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

  const itemClass = 'flex min-h-9 w-full items-center rounded-sm px-3 text-left text-sm hover:bg-hover';
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape pressed on any of the buttons inside closes the list
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
      <Button tone="plain" className="max-wide:px-2.5" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        {label}
      </Button>
      {isOpen && (
        <ul className="absolute right-0 bottom-full z-20 mb-1 min-w-48 rounded-md border border-line bg-surface p-1 shadow-float">
          {items.map((item) => (
            <li key={item.label}>
              {'href' in item ? (
                <a className={itemClass} href={item.href} download={item.download} onClick={() => setOpen(false)}>
                  {item.label}
                </a>
              ) : (
                <button
                  type="button"
                  className={itemClass}
                  onClick={() => {
                    setOpen(false);
                    item.onChoose();
                  }}
                >
                  {item.label}
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
