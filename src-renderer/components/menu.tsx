import type { ReactNode } from 'react';
import { Button } from './button.tsx';
import { Popover } from './popover.tsx';

interface MenuProps {
  label: ReactNode;
  /** Opens to the end, for a button at the left edge. */
  isAtStart?: boolean;
  items: ReadonlyArray<{ label: string; onChoose: () => void } | { label: string; href: string; download: string }>;
}

/** A button with a list of actions. The list closes after a choice. */
export function Menu({ label, isAtStart = false, items }: MenuProps) {
  const itemClass = 'flex min-h-9 w-full items-center rounded-sm px-3 text-left text-sm hover:bg-hover';
  return (
    <Popover
      place={`bottom-full mb-1 min-w-48 ${isAtStart ? 'left-0' : 'right-0'}`}
      button={(props) => (
        <Button tone="plain" className="max-wide:px-2.5" {...props}>
          {label}
        </Button>
      )}
    >
      {(close) => (
        <ul>
          {items.map((item) => (
            <li key={item.label}>
              {'href' in item ? (
                <a className={itemClass} href={item.href} download={item.download} onClick={close}>
                  {item.label}
                </a>
              ) : (
                <button
                  type="button"
                  className={itemClass}
                  onClick={() => {
                    close();
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
    </Popover>
  );
}
