import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type JsonFileLog, openJsonFile } from '#main/lib/json-file.ts';
import { draftDirOf, type PackedFile, packedFileSchema } from './pack-folder.ts';
import type { PackPlan } from './pack-plan.ts';

export const PROGRESS_FILE = 'progress.json';

/** How far an installation is, kept in the folder of the unfinished pack. */
export interface PackProgress {
  /** Whether an installation was started, for which the licences were accepted. */
  readonly isBegun: boolean;
  /** ISO 8601. */
  readonly acceptedAt: string;
  /** The unpacked files of finished archives, by the hash of the archive. */
  readonly unpacked: Readonly<Record<string, PackedFile[]>>;
  /** Records the start of the installation. */
  begin(): Promise<void>;
  addUnpacked(archiveHash: string, files: PackedFile[]): Promise<void>;
}

const fields = { acceptedAt: z.string(), unpacked: z.record(z.string(), z.array(packedFileSchema)) };

export function openPackProgress(packsDir: string, version: string, log: JsonFileLog): PackProgress {
  const path = join(draftDirOf(packsDir, version), PROGRESS_FILE);
  const file = openJsonFile(path, { fields, defaults: { acceptedAt: '', unpacked: {} }, log });
  return {
    get isBegun() {
      return file.value.acceptedAt !== '';
    },
    get acceptedAt() {
      return file.value.acceptedAt;
    },
    get unpacked() {
      return file.value.unpacked;
    },
    begin: () =>
      file.change((draft) => {
        draft.acceptedAt ||= new Date().toISOString();
      }),
    addUnpacked: (archiveHash, files) =>
      file.change((draft) => {
        draft.unpacked[archiveHash] = files;
      }),
  };
}

/** Bytes of archives that need not be downloaded again. */
export function fetchedBytes(packsDir: string, plan: PackPlan, { unpacked }: PackProgress): number {
  const draft = draftDirOf(packsDir, plan.version);
  return plan.archives.reduce((sum, { name, sha256, sizeBytes }) => sum + (sha256 in unpacked ? (sizeBytes ?? 0) : fileSize(join(draft, name))), 0);
}

export function fileSize(path: string): number {
  return existsSync(path) ? statSync(path).size : 0;
}
