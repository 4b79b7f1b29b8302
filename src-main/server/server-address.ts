import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readRegularFile } from '#main/lib/read-regular-file.ts';
import { serverUrl } from './listen.ts';

const addressSchema = z.object({
  /** The address that it listens on; `0.0.0.0` and `::` are every network. */
  host: z.string(),
  port: z.number().int().min(1).max(65_535),
  pid: z.number().int(),
});

/** Where the server that holds a data folder listens. */
export type ServerAddress = z.infer<typeof addressSchema>;

const fileOf = (dataDir: string): string => join(dataDir, 'server.json');

/** Lets other starts on this data folder find the server; only the holder of the folder's lock writes it. */
export function writeServerAddress(dataDir: string, address: ServerAddress): void {
  const temporary = `${fileOf(dataDir)}.new`;
  writeFileSync(temporary, `${JSON.stringify(address)}\n`);
  renameSync(temporary, fileOf(dataDir));
}

/** Null without a readable file. A server that was killed leaves its file behind, so the caller must ask at that address. */
export function readServerAddress(dataDir: string): ServerAddress | null {
  try {
    return addressSchema.parse(JSON.parse(readRegularFile(fileOf(dataDir)).toString('utf8')));
  } catch {
    return null;
  }
}

/** Where this machine reaches it. A server on every network listens on loopback too. */
export function serverOrigin({ host, port }: ServerAddress): string {
  return serverUrl(host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host, port);
}

/** Does nothing without a file. */
export function removeServerAddress(dataDir: string): void {
  rmSync(fileOf(dataDir), { force: true });
}
