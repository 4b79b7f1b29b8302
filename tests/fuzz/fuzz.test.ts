import { expect, test } from 'vitest';
import { fuzzServer } from './fuzz-server.ts';

/** The short form of `npm run fuzz`; memory is measured there, over many more messages. */
test('3,000 fuzzed messages and 300 requests: each is answered correctly, and the server keeps running', async () => {
  const rows = await fuzzServer(3000, 20261124);
  const faults = rows.filter(({ must }) => must === 0);
  expect(faults.map(({ ours }) => ours)).toEqual([[0], [0], [0]]);
});
