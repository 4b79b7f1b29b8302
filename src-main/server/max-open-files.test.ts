import { expect, test } from 'vitest';
import { maxOpenFiles, RESERVED_FILES } from './max-open-files.ts';

const limits = (open: string): string => `Limit                     Soft Limit           Hard Limit           Units
Max processes             127000               127000               processes
Max open files            ${open.padEnd(20)} 524288               files
`;

test.for([
  ['256', 256],
  ['1048576', 1_048_576],
  ['unlimited', Number.POSITIVE_INFINITY],
  ['10', RESERVED_FILES + 16],
] as const)('a limit of %s is %d', ([text, expected]) => {
  expect(maxOpenFiles(() => limits(text))).toBe(expected);
});

test('a system that does not say has no limit', () => {
  const missing = () => {
    throw new Error('ENOENT');
  };
  expect(maxOpenFiles(missing)).toBe(Number.POSITIVE_INFINITY);
});
