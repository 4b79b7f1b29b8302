import { expect, test } from 'vitest';
import { maskOf } from './mask-of.ts';

const grey = (...values: number[]) => ({ width: values.length, height: 1, data: Uint8Array.from(values.flatMap((value) => [value, value, value])) });

test.each([
  ['grey 128 is repainted, 127 is kept', grey(0, 127, 128, 255), [0, 0, 255, 255]],
  ['alpha 127 is repainted, 128 is kept, whatever the colour', { ...grey(255, 255, 0, 0), alpha: Uint8Array.of(128, 127, 255, 0) }, [0, 255, 0, 255]],
  ['a saturated red is dark, a saturated green is light', { width: 2, height: 1, data: Uint8Array.of(255, 0, 0, 0, 255, 0) }, [0, 255]],
])('%s', (_, image, expected) => {
  expect([...maskOf(image).data]).toEqual(expected);
});
