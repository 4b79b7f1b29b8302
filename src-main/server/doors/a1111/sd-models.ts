import type { Checkpoint } from '#main/models/checkpoint.ts';
import type { ModelLibrary } from '#main/models/library.ts';
import { modelTypeSchema } from '#shared/domain/job.ts';

/** A checkpoint as A1111's clients read it. */
export function sdModel({ name, fingerprint, dir }: Checkpoint) {
  const hash = fingerprint.slice(0, 10);
  return { title: `${name} [${hash}]`, model_name: name, hash, sha256: fingerprint, filename: dir, config: null };
}

/** By title, name, hash or our `model_type`; null for anything else, as clients repeat options of other servers. */
export async function checkpointNamed(text: unknown, library: ModelLibrary): Promise<Checkpoint | null> {
  if (typeof text !== 'string' || text === '') return null;
  const type = modelTypeSchema.safeParse(text).data;
  if (type !== undefined) return library.checkpointFor(type);
  return (await library.list()).find((one) => Object.values(sdModel(one)).includes(text)) ?? null;
}
