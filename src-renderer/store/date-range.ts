/** Days up to now, or days of the calendar that a person chose. */
export type DateChoice = 'any' | 'today' | 'week' | 'month' | 'days';

const DAY_MS = 24 * 3600 * 1000;
const daysBack = { week: 7, month: 30 } as const;

export interface DateRange {
  /** Unix seconds; `from` belongs to the range, `to` does not. */
  from: number | undefined;
  to: number | undefined;
}

/** The moments of a choice that counts back from `nowMs`, by local days. */
export function rangeOfChoice(choice: Exclude<DateChoice, 'days'>, nowMs: number): DateRange {
  if (choice === 'any') return { from: undefined, to: undefined };
  const midnight = new Date(nowMs).setHours(0, 0, 0, 0);
  return { from: (choice === 'today' ? midnight : midnight - daysBack[choice] * DAY_MS) / 1000, to: undefined };
}

/** The moments between two days as `YYYY-MM-DD`, both included; empty leaves that side open. */
export function rangeOfDays(first: string, last: string): DateRange {
  return { from: first === '' ? undefined : localMidnight(first, 0), to: last === '' ? undefined : localMidnight(last, 1) };
}

function localMidnight(day: string, plusDays: number): number {
  const [year = 0, month = 1, date = 1] = day.split('-').map(Number);
  return new Date(year, month - 1, date + plusDays).getTime() / 1000;
}
