import { z } from 'zod';
import { windowClientIdPattern } from '#shared/protocol/window-client-id.ts';
import { type KeyValueStorage, readStored, writeStored } from './stored.ts';

const KEY = 'zimage.client-id';

/** One id for all windows of this browser, so that they stay in step and a reload finds its jobs again. */
export function clientId(storage: KeyValueStorage): string {
  const stored = readStored(storage, KEY, z.string().regex(windowClientIdPattern), '');
  if (stored !== '') return stored;
  // crypto.randomUUID is missing on a page that came over plain http from another machine.
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  const id = `studio-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
  writeStored(storage, KEY, id);
  return id;
}
