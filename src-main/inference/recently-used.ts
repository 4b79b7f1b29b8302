/** Returns what `make` made for the key, made at most once while the key is among the last `kept` that were asked for. */
export type RecentlyUsed<Value> = (key: string, make: () => Promise<Value>) => Promise<Value>;

export function createRecentlyUsed<Value>(kept: number): RecentlyUsed<Value> {
  const values = new Map<string, Value>();
  return async (key, make) => {
    const value = values.get(key) ?? (await make());
    // set again at the end of the map, so that the first one is the one that was not used for longest
    values.delete(key);
    values.set(key, value);
    if (values.size > kept) values.delete(values.keys().next().value ?? '');
    return value;
  };
}
