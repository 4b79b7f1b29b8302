// Writes the tables of fields in docs/integrations.md from the tables of the doors: node scripts/integration-docs.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { extraBatchFields, extraSingleFields, img2imgOnlyFields, txt2imgFields } from '#main/server/doors/a1111/fields.ts';
import { fieldRows } from '#main/server/doors/fields.ts';
import { editOnlyFields, generationFields } from '#main/server/doors/openai/fields.ts';

export const integrationsPath = join(import.meta.dirname, '../docs/integrations.md');

/** `text` with `table` between the marks of the section `name`. */
export function withSection(text: string, name: string, table: string): string {
  const pattern = new RegExp(`(<!-- begin ${name} -->\n)[^]*?(<!-- end ${name} -->)`);
  if (!pattern.test(text)) throw new Error(`docs/integrations.md has no section ${name}`);
  return text.replace(pattern, (_, begin: string, end: string) => `${begin}${table}\n${end}`);
}

const tables = {
  'openai fields': generationFields,
  'openai edit fields': editOnlyFields,
  'a1111 fields': txt2imgFields,
  'a1111 image fields': img2imgOnlyFields,
  'a1111 extras fields': { ...extraSingleFields, ...extraBatchFields },
};

export function withFieldTables(text: string): string {
  return Object.entries(tables).reduce((docs, [name, table]) => withSection(docs, name, fieldRows(table)), text);
}

if (import.meta.main) writeFileSync(integrationsPath, withFieldTables(readFileSync(integrationsPath, 'utf8')));
