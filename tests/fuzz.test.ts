import { expect, test } from 'vitest';
import { fuzzServer } from '../bench/fuzz/fuzz-server.ts';

/** The short form of `npm run fuzz`; memory is measured there, over many more messages. */
test('3,000 fuzzed messages and 300 requests: each is answered rightly, and the server goes on', async () => {
  const checks = await fuzzServer(3000, 20261124);
  const faults = checks.filter(({ most }) => most === 0);
  expect(faults).toHaveLength(3);
  expect(faults.filter(({ value }) => value !== 0)).toEqual([]);
});
