import { z } from 'zod';
import { windowClientIdPattern } from '#shared/protocol/window-client-id.ts';
import { type KeyValueStorage, readStored, writeStored } from './stored.ts';

const KEY = 'zimage.client-id';

/** One id for all windows of this browser: they share their jobs, and a reload finds them again. */
export function clientId(storage: KeyValueStorage): string {
  const stored = readStored(storage, KEY, z.string().regex(windowClientIdPattern), '');
  if (stored !== '') return stored;
  // crypto.randomUUID exists only in secure contexts, and phones load this page over plain http
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  const id = `studio-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
  writeStored(storage, KEY, id);
  return id;
}
