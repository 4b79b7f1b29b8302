import { z } from 'zod';
import { type JsonFileLog, openJsonFile } from '#main/lib/json-file.ts';
import { modelTypeSchema } from '#shared/domain/job.ts';
import { extraKindSchema, type ModelLimits, modelKindSchema, modelLimitsSchema } from '#shared/domain/model.ts';
import { wireErrorSchema } from '#shared/protocol/errors.ts';

const fileSchema = z.object({
  /** Inside the repository, with `/` between folders. */
  path: z.string(),
  sizeBytes: z.number().int().nonnegative(),
  /** SHA-256 of a large file, git's SHA-1 of a small one; also the name of its blob in the cache. */
  hash: z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/),
});

const hubSourceSchema = z.looseObject({
  type: z.literal('hub'),
  repository: z.string(),
  /** The requested branch, tag or commit. */
  revision: z.string(),
  /** The commit that the revision pointed to, and its files; null until the list was fetched. */
  commit: z
    .string()
    .regex(/^[0-9a-f]{40}$/)
    .nullable(),
  files: z.array(fileSchema),
  license: z.string(),
});
export type HubSource = z.infer<typeof hubSourceSchema>;
export type PinnedSource = HubSource & { commit: string };

const recordKindSchema = z.enum([...modelTypeSchema.options, ...extraKindSchema.options]);
export type RecordKind = z.infer<typeof recordKindSchema>;

const recordSchema = z.looseObject({
  name: z.string(),
  kind: recordKindSchema,
  /** A folder's `dir` is the file itself where the model is one file. */
  source: z.discriminatedUnion('type', [z.looseObject({ type: z.literal('folder'), dir: z.string() }), hubSourceSchema]),
  /** A `queued` download continues at the next start. */
  state: z.enum(['queued', 'paused', 'failed', 'installed']),
  error: wireErrorSchema.nullable().catch(null),
  /** The fingerprint when it was installed or last verified. */
  identity: z.string().nullable().catch(null),
});
export type ModelRecord = z.infer<typeof recordSchema>;

const foreignRecordSchema = z.looseObject({ name: z.string().min(1) });
const fields = {
  version: z.number(),
  models: z.array(foreignRecordSchema),
  /** The name of the model that the user chose for each kind. */
  chosen: z.partialRecord(modelKindSchema, z.string()),
  limits: modelLimitsSchema,
};
type Stored = z.infer<z.ZodObject<typeof fields>>;

interface Content {
  /** Names are unique. */
  models: ModelRecord[];
  chosen: Stored['chosen'];
  limits: ModelLimits;
}

/** The added, installed and chosen models of this machine: `models.json` in the data folder. */
export interface ModelRecords {
  readonly current: Readonly<Content>;
  find(name: string): ModelRecord | undefined;
  /** Names of records that this version does not understand; they are shown, never run, and kept in the file. */
  foreignNames(): string[];
  /** Changes are written one after the other. Rejects with `disk_full`, `folder_not_writable` or `disk_failed`; nothing has changed then. */
  change(edit: (content: Content) => void): Promise<void>;
  /** Changes one record, if it is still there. */
  changeRecord(name: string, change: Partial<ModelRecord>): Promise<void>;
}

export function openModelRecords(path: string, log: JsonFileLog): ModelRecords {
  const file = openJsonFile(path, { fields, defaults: { version: 0, models: [], chosen: {}, limits: { bytes_per_second: null } }, log });
  let read: { from: Readonly<Stored>; content: Content; foreign: Stored['models'] } | null = null;

  function content(): NonNullable<typeof read> {
    if (read?.from !== file.value) read = { from: file.value, ...parse(file.value) };
    return read;
  }

  async function change(edit: (draft: Content) => void): Promise<void> {
    await file.change((draft) => {
      const { content: edited, foreign } = parse(draft);
      edit(edited);
      draft.version ||= 1;
      draft.models = [...uniqueByName(edited.models), ...foreign];
      draft.chosen = edited.chosen;
      draft.limits = edited.limits;
    });
  }

  return {
    get current() {
      return content().content;
    },
    find: (name) => content().content.models.find((record) => record.name === name),
    foreignNames: () => content().foreign.map(({ name }) => name),
    change,
    changeRecord: (name, changes) =>
      change(({ models }) => {
        const record = models.find((candidate) => candidate.name === name);
        if (record !== undefined) Object.assign(record, changes);
      }),
  };
}

function parse({ models, chosen, limits }: Readonly<Stored>): { content: Content; foreign: Stored['models'] } {
  const parsed = models.map((record) => recordSchema.safeParse(record));
  const known = parsed.flatMap(({ data }) => (data === undefined ? [] : [data]));
  return { content: { models: uniqueByName(known), chosen: { ...chosen }, limits }, foreign: models.filter((_, i) => parsed[i]?.success === false) };
}

/** Of two records of one name the installed one counts. */
function uniqueByName(records: readonly ModelRecord[]): ModelRecord[] {
  const byName = new Map<string, ModelRecord>();
  for (const record of records) if (byName.get(record.name)?.state !== 'installed') byName.set(record.name, record);
  return [...byName.values()];
}
