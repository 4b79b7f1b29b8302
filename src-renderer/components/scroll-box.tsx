import type { ReactNode } from 'react';

/** A scrollable box. It is a Tab stop, so the arrow keys can scroll it. */
export function ScrollBox({ label, role, className, children }: { label: string; role?: 'log'; className: string; children: ReactNode }) {
  return (
    <section
      aria-label={label}
      {...(role === undefined ? {} : { role, 'aria-live': 'off' })}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys
      tabIndex={0}
      className={`overflow-auto ${className}`}
    >
      {children}
    </section>
  );
}
