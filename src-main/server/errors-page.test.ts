import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { programDir } from '#main/lib/program-files.ts';
import { errorTable } from '#shared/protocol/errors.ts';

const page = readFileSync(join(programDir, 'docs/errors.md'), 'utf8');
const sections = page.split(/^### /m).slice(1);
const headings = sections.map((section) => /^`(\w+)`\n/.exec(section)?.[1]);

test('every code has one heading in docs/errors.md, and every heading a code', () => {
  expect(headings.toSorted()).toEqual(Object.keys(errorTable).toSorted());
});

test.for(sections.map((section, i) => [headings[i], section] as const))('%s says what it means and what to do', ([, section]) => {
  expect(section).toMatch(/^`\w+`\n\S.{20,}\n\*\*What to do:\*\* .{10,}/);
});

test.for(Object.entries(errorTable))('%s names the data that it carries', ([code, schema]) => {
  const section = sections.find((text) => text.startsWith(`\`${code}\``)) ?? '';
  for (const key of Object.keys(schema.shape)) expect(section).toContain(`\`${key}\``);
});
