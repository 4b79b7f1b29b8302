import { mkdir, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { errnoCode } from '#main/lib/errno-code.ts';
import { renameDurably, writeFileDurably } from '#main/lib/write-file.ts';
import { modelTypeSchema } from '#shared/domain/job.ts';
import { modelKindSchema, modelLimitsSchema } from '#shared/domain/model.ts';
import { wireErrorSchema } from '#shared/protocol/errors.ts';
import type { ModelsLog } from './file-hashes.ts';

const hubFileSchema = z.object({
  /** Inside the repository, with `/` between folders. */
  path: z.string(),
  sizeBytes: z.number().int().nonnegative(),
  /** SHA-256 of a large file, git's SHA-1 of a small one; also the name of its blob in the cache. */
  hash: z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/),
});

const hubSourceSchema = z.object({
  type: z.literal('hub'),
  repository: z.string(),
  /** What was asked for: a branch, a tag or a commit. */
  revision: z.string(),
  /** The commit that it was then, and its files; null until the list was fetched. */
  commit: z.string().nullable(),
  files: z.array(hubFileSchema),
  license: z.string(),
});
export type HubSource = z.infer<typeof hubSourceSchema>;

const recordSchema = z.object({
  name: z.string(),
  kind: modelTypeSchema,
  source: z.discriminatedUnion('type', [z.object({ type: z.literal('folder'), dir: z.string() }), hubSourceSchema]),
  /** `queued` goes on at the next start. */
  state: z.enum(['queued', 'paused', 'failed', 'installed']),
  error: wireErrorSchema.nullable(),
  /** As it was when it was installed or last verified. */
  identity: z.string().nullable(),
});
export type ModelRecord = z.infer<typeof recordSchema>;

const contentSchema = z.object({
  version: z.literal(1),
  models: z.array(recordSchema),
  /** Names of the models that somebody chose for their kind. */
  chosen: z.partialRecord(modelKindSchema, z.string()),
  limits: modelLimitsSchema,
});
type Content = z.infer<typeof contentSchema>;

/** What was added, installed and chosen on this machine: the file `models.json` of the data folder. */
export interface ModelRecords {
  /** As of now; nobody changes it but `change`. */
  current(): Readonly<Content>;
  /** Applies a change and writes it to the disk; changes come one after the other. Rejects with `disk_full` and the like, the change then holds until the end of the process. */
  change(edit: (content: Content) => void): Promise<void>;
}

/** A file that cannot be read is moved aside and told in the log: what was downloaded is found again by installing. */
export async function loadModelRecords(path: string, log: ModelsLog): Promise<ModelRecords> {
  const content = await readContent(path, log);
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    const draft = `${path}.new`;
    await mkdir(dirname(path), { recursive: true });
    await writeFileDurably(draft, new TextEncoder().encode(`${JSON.stringify(content, null, 1)}\n`));
    await renameDurably(draft, path);
  }

  return {
    current: () => content,
    change(edit) {
      edit(content);
      const written = writing.then(write);
      writing = written.catch(() => {}); // its own caller hears of it; the next change is another matter
      return written;
    },
  };
}

async function readContent(path: string, log: ModelsLog): Promise<Content> {
  try {
    return contentSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (cause) {
    if (errnoCode(cause) !== 'ENOENT') {
      const aside = `${path}.unreadable`;
      await rename(path, aside).catch((failure: unknown) => log.warn({ path, cause: errnoCode(failure) }, 'the list of models could not be moved aside'));
      log.warn(
        { path, aside, cause: errnoCode(cause) },
        'the list of models cannot be read and is made anew; install the models again, what was downloaded is used',
      );
    }
    return { version: 1, models: [], chosen: {}, limits: { bytes_per_second: null } };
  }
}
