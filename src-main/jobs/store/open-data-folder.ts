import type { JsonFileLog } from '#main/lib/json-file.ts';
import { lockDataFolder } from './instance-lock.ts';
import { makeDataFolder } from './private-folder.ts';

export interface LockedFolder {
  /** The folder was empty, so it holds nothing but ours. */
  isOurs: boolean;
  unlock(): void;
}

/** Creates the data folder where it is missing and keeps other instances out. Throws as `makeDataFolder` and `lockDataFolder`. */
export async function openDataFolder(dataDir: string, log: JsonFileLog): Promise<LockedFolder> {
  const { isOurs } = makeDataFolder(dataDir, log);
  return { isOurs, unlock: await lockDataFolder(dataDir) };
}
