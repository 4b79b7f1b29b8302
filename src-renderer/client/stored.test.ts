import { expect, test } from 'vitest';
import { z } from 'zod';
import { clientId } from './client-id.ts';
import { browserStorage, type KeyValueStorage, readStored, writeStored } from './stored.ts';

const denied = () => {
  throw new DOMException('The operation is insecure.', 'SecurityError');
};
const deniedPage = Object.defineProperty({}, 'localStorage', { get: denied });
const deniedAccess: KeyValueStorage = { getItem: denied, setItem: denied };

test.each([
  ['is null', { localStorage: null }],
  ['is missing', {}],
  ['throws when it is read', deniedPage],
])('where localStorage %s, values are kept in memory', (_name, page) => {
  const storage = browserStorage('localStorage', page);
  expect(writeStored(storage, 'key', 7)).toBe(true);
  expect(readStored(storage, 'key', z.number(), 0)).toBe(7);
});

test('a storage that denies every access gives fallbacks, and the window still has a client id', () => {
  expect(writeStored(deniedAccess, 'key', 7)).toBe(false);
  expect(readStored(deniedAccess, 'key', z.number(), 3)).toBe(3);
  expect(clientId(deniedAccess)).toMatch(/^studio-[0-9a-f]{16}$/);
});
