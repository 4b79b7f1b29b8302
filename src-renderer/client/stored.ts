import type { z } from 'zod';

/** What is used of `localStorage` and `sessionStorage`; a test passes a Map-like of its own. */
export interface KeyValueStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** The browser may refuse storage (private windows, blocked cookies): the window then works and forgets. */
export function browserStorage(kind: 'localStorage' | 'sessionStorage'): KeyValueStorage {
  try {
    return window[kind];
  } catch {
    return memoryStorage();
  }
}

export function memoryStorage(): KeyValueStorage {
  const values = new Map<string, string>();
  return { getItem: (key) => values.get(key) ?? null, setItem: (key, value) => void values.set(key, value) };
}

/** The stored value, or `fallback` where there is none or one that an older version wrote. */
export function readStored<T>(storage: KeyValueStorage, key: string, schema: z.ZodType<T>, fallback: T): T {
  const text = storage.getItem(key);
  if (text === null) return fallback;
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : fallback;
  } catch {
    return fallback;
  }
}

/** False where the browser has no room or no permission; what the person typed stays in the window all the same. */
export function writeStored(storage: KeyValueStorage, key: string, value: unknown): boolean {
  try {
    storage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}
