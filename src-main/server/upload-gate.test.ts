import { expect, test } from 'vitest';
import { createUploadGate } from './upload-gate.ts';

test('uploads together take no more than the total, and give it back once', () => {
  const gate = createUploadGate({ totalBytes: 100, perAddress: 9 });
  const leave = gate.enter(null, 60);
  expect([leave === null, gate.enter(null, 41)]).toEqual([false, null]);
  expect(gate.enter(null, 40)).not.toBe(null);
  leave?.();
  leave?.();
  expect([gate.enter(null, 61), gate.enter(null, 60) === null]).toEqual([null, false]);
});

test('one address has a few at once, others and this machine are not held up', () => {
  const gate = createUploadGate({ totalBytes: 1000, perAddress: 2 });
  const leave = gate.enter('10.0.0.9', 1);
  gate.enter('10.0.0.9', 1);
  expect([gate.enter('10.0.0.9', 1), gate.enter('10.0.0.8', 1) === null, gate.enter(null, 1) === null]).toEqual([null, false, false]);
  leave?.();
  expect(gate.enter('10.0.0.9', 1)).not.toBe(null);
});
