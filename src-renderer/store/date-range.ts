import { z } from 'zod';

/** A range of days: up to today, or from `first` to `last` inclusive, as `YYYY-MM-DD`. An empty end is open. */
export const datesSchema = z.object({ choice: z.enum(['any', 'today', 'week', 'month', 'days']), first: z.string(), last: z.string() });
export type Dates = z.infer<typeof datesSchema>;

export const anyDates: Dates = { choice: 'any', first: '', last: '' };

const DAY_MS = 24 * 3600 * 1000;

/** The range in Unix seconds by local days; `from` is inclusive, `to` exclusive. */
export function rangeOf({ choice, first, last }: Dates, nowMs: number): { from: number | undefined; to: number | undefined } {
  const midnight = new Date(nowMs).setHours(0, 0, 0, 0);
  switch (choice) {
    case 'any':
      return { from: undefined, to: undefined };
    case 'today':
      return { from: midnight / 1000, to: undefined };
    case 'week':
      return { from: (midnight - 7 * DAY_MS) / 1000, to: undefined };
    case 'month':
      return { from: (midnight - 30 * DAY_MS) / 1000, to: undefined };
    case 'days':
      return { from: first === '' ? undefined : localMidnight(first, 0), to: last === '' ? undefined : localMidnight(last, 1) };
  }
}

function localMidnight(day: string, plusDays: number): number {
  const [year = 0, month = 1, date = 1] = day.split('-').map(Number);
  return new Date(year, month - 1, date + plusDays).getTime() / 1000;
}
