import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { clientTypes } from '../scripts/client-types.ts';
import { integrationsPath, withFieldTables } from '../scripts/integration-docs.ts';

test.each(Object.entries(clientTypes()))('%s is current; if not, run node scripts/client-types.ts', (path, text) => {
  expect(readFileSync(join(import.meta.dirname, '..', path), 'utf8')).toBe(text);
});

test('the tables of docs/integrations.md are current; if not, run node scripts/integration-docs.ts', () => {
  const text = readFileSync(integrationsPath, 'utf8');
  expect(withFieldTables(text)).toBe(text);
});
