/** Results go to standard output: with `--json` a line of JSON for each item, else a table. */
export function printItems<T extends object>(
  items: readonly T[],
  { json }: { json: boolean },
  columns: Record<string, (item: T) => string | number>,
  empty: string,
): void {
  if (json) {
    for (const item of items) process.stdout.write(`${JSON.stringify(item)}\n`);
    return;
  }
  if (items.length === 0) {
    process.stdout.write(`${empty}\n`);
    return;
  }
  const rows = [Object.keys(columns), ...items.map((item) => Object.values(columns).map((cell) => String(cell(item)).replaceAll(/\s+/g, ' ')))];
  const widths = Object.keys(columns).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  for (const row of rows)
    process.stdout.write(
      `${row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd()}\n`,
    );
}

export function megabytes(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
