import { type KeyboardEvent, useEffect, useLayoutEffect, useRef, useState } from 'react';

export interface MenuItem {
  label: string;
  onChoose(): void;
}

interface ContextMenuProps {
  label: string;
  /** Where it was asked for, in CSS pixels of the window. */
  at: { x: number; y: number };
  items: readonly MenuItem[];
  onClose(): void;
}

/** A menu at the pointer. Arrow keys move, Escape and a click outside close it, and the focus returns to where it was. */
export function ContextMenu({ label, at, items, onClose }: ContextMenuProps) {
  const list = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState(at);

  useLayoutEffect(() => {
    const box = list.current?.getBoundingClientRect();
    if (box !== undefined) setPlace({ x: Math.min(at.x, window.innerWidth - box.width - 8), y: Math.min(at.y, window.innerHeight - box.height - 8) });
  }, [at]);

  useEffect(() => {
    const before = document.activeElement;
    list.current?.querySelector('button')?.focus();
    const closeOutside = (event: PointerEvent) => {
      if (event.target instanceof Node && !list.current?.contains(event.target)) onClose();
    };
    document.addEventListener('pointerdown', closeOutside);
    return () => {
      document.removeEventListener('pointerdown', closeOutside);
      if (before instanceof HTMLElement) before.focus();
    };
  }, [onClose]);

  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape' || event.key === 'Tab') onClose();
    else if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const buttons = [...(list.current?.querySelectorAll<HTMLElement>('button') ?? [])];
    const now = buttons.findIndex((button) => button.matches(':focus'));
    if (step !== undefined) buttons[(now + step + buttons.length) % buttons.length]?.focus();
  };
  return (
    <div
      ref={list}
      role="menu"
      tabIndex={-1}
      aria-label={label}
      className="fixed z-30 min-w-48 animate-appear rounded-md border border-line bg-surface p-1 shadow-float"
      style={{ left: place.x, top: place.y }}
      onKeyDown={onKeyDown}
      onContextMenu={(event) => event.preventDefault()}
    >
      {items.map((item) => (
        <button
          key={item.label}
          type="button"
          role="menuitem"
          className="flex min-h-9 w-full items-center rounded-sm px-3 text-left text-sm hover:bg-hover focus:bg-hover"
          onClick={() => {
            onClose();
            item.onChoose();
          }}
        >
          {item.label}
        </button>
      ))}
    </div>
  );
}
