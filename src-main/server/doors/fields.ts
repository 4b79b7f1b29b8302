import { z } from 'zod';
import { isRecord } from '#main/lib/is-record.ts';

/** One field of another program's request. */
export interface Field {
  /** What is accepted; null and absence mean the default. */
  schema: z.ZodType;
  /** Our param, or null for what is ignored. */
  ours: string | null;
  /** How it becomes ours. */
  rule: string;
}
export type FieldTable = Readonly<Record<string, Field>>;

/** What a request holds for each field of the table. */
export type FieldValues<T extends FieldTable> = { [K in keyof T]?: z.output<T[K]['schema']> | null | undefined };

/** The schema of a JSON body: known fields are checked, unknown ones accepted. `/docs` shows the rules as descriptions. */
export function bodySchema<T extends FieldTable>(table: T, required: readonly (keyof T & string)[] = []): z.ZodType<FieldValues<T>> {
  const shape = Object.fromEntries(
    Object.entries(table).map(([name, { schema, ours, rule }]) => {
      const described = (required.includes(name) ? schema : schema.nullish()).describe(ours === null ? `Ignored. ${rule}`.trim() : `${ours}: ${rule}`);
      return [name, described];
    }),
  );
  return z.looseObject(shape) as unknown as z.ZodType<FieldValues<T>>;
}

const MAX_HEADER_BYTES = 1000;

/** The names of fields that were sent and do nothing, for the header `x-zimage-ignored`: ASCII, escaped, cut with `…` as `...`. Null without one. */
export function ignoredFields(table: FieldTable, body: unknown): string | null {
  if (!isRecord(body)) return null;
  const names = Object.keys(body).filter((name) => body[name] !== null && (table[name]?.ours ?? null) === null);
  if (names.length === 0) return null;
  const text = names.map((name) => encodeURIComponent(name.toWellFormed())).join(', ');
  return text.length <= MAX_HEADER_BYTES ? text : `${text.slice(0, MAX_HEADER_BYTES - 3)}...`;
}

/** Without unknown fields, whose values may be nested too deeply for `JSON.stringify`. */
export function knownFields(table: FieldTable, body: object): object {
  return Object.fromEntries(Object.entries(body).filter(([name]) => Object.hasOwn(table, name)));
}

/** The rows of a table as Markdown, for `docs/integrations.md`. */
export function fieldRows(table: FieldTable): string {
  const rows = Object.entries(table).map(([name, { ours, rule }]) => `| \`${name}\` | ${ours === null ? 'ignored' : `\`${ours}\``} | ${rule} |`);
  return ['| field | ours | rule |', '|---|---|---|', ...rows].join('\n');
}
