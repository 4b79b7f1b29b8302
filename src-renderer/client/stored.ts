import type { z } from 'zod';

/** The part of `localStorage` and `sessionStorage` that the window uses. */
export interface KeyValueStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** Browsers may deny storage by throwing or by a null object (blocked cookies, some web views). The window works without it and forgets on reload. */
export function browserStorage(kind: 'localStorage' | 'sessionStorage', page: Partial<Record<typeof kind, KeyValueStorage | null>> = window): KeyValueStorage {
  try {
    return page[kind] ?? memoryStorage();
  } catch {
    // access to the property itself is denied
    return memoryStorage();
  }
}

export function memoryStorage(): KeyValueStorage {
  const values = new Map<string, string>();
  return { getItem: (key) => values.get(key) ?? null, setItem: (key, value) => void values.set(key, value) };
}

/** The stored value; `fallback` without one, if an older version wrote it, or if the browser denies access. */
export function readStored<T>(storage: KeyValueStorage, key: string, schema: z.ZodType<T>, fallback: T): T {
  try {
    const text = storage.getItem(key);
    if (text === null) return fallback;
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : fallback;
  } catch {
    return fallback;
  }
}

/** False if the browser has no space or denies access; the window still has the value in memory. */
export function writeStored(storage: KeyValueStorage, key: string, value: unknown): boolean {
  try {
    storage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}
