import type { ReactNode } from 'react';

interface CardProps {
  title: string;
  lead?: string;
  /** `h3` under the heading of a group. */
  heading?: 'h2' | 'h3';
  children: ReactNode;
}

/** A settings section with a title. */
export function Card({ title, lead, heading: Heading = 'h3', children }: CardProps) {
  return (
    <section aria-label={title} className="flex flex-col gap-4 rounded-lg border border-line bg-surface p-5">
      <div>
        <Heading className="font-semibold">{title}</Heading>
        {lead !== undefined && <p className="mt-0.5 text-sm text-muted">{lead}</p>}
      </div>
      {children}
    </section>
  );
}
