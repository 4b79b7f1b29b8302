import { join } from 'node:path';
import { type ExtraKind, type ExtraMetadata, extraKindSchema, type ModelKind } from '#shared/domain/model.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { ExtraModel } from './checkpoint.ts';
import type { HubCache } from './hub/hub-cache.ts';
import type { ListedFile } from './hub/hub-client.ts';
import type { ModelRecord } from './records.ts';

/** Reads LoRAs and ControlNets. */
export interface ExtraReader {
  /** Throws an `AppError` if no checkpoint can use the file. */
  inspect(path: string, checkpointDirs: readonly string[]): Promise<ExtraKind>;
  /** What the file says about itself. */
  metadata(path: string): Promise<ExtraMetadata>;
}

export function isExtraKind(kind: ModelKind): kind is ExtraKind {
  return extraKindSchema.safeParse(kind).success;
}

/** The one file of an installed LoRA or ControlNet. */
export function extraPath({ source }: ModelRecord, cache: HubCache): string {
  return source.type === 'folder' ? source.dir : join(cache.snapshotDir(source.repository, source.commit ?? ''), source.files[0]?.path ?? '');
}

/**
 * The file of a repository that holds a LoRA or ControlNet, or null for one with a checkpoint. `wanted` is its path, needed where there are several.
 * Throws `bad_param`.
 */
export function chooseExtraFile(repository: string, files: readonly ListedFile[], wanted: string | undefined): ListedFile | null {
  if (wanted === undefined && files.some(({ path }) => path === 'model_index.json' || path === 'config.json')) return null;
  const found = files.filter(({ path }) => path.endsWith('.safetensors'));
  if (found.length === 0) return null;
  const chosen = wanted === undefined ? found.filter(() => found.length === 1) : found.filter(({ path }) => path === wanted);
  if (chosen[0] !== undefined) return chosen[0];
  const names = found.map(({ path }) => JSON.stringify(path)).join(' or ');
  const what = wanted === undefined ? `has ${found.length} safetensors files` : `has no file ${JSON.stringify(wanted)}`;
  throw new AppError('bad_param', `${repository} ${what}; file must be ${names}.`, { field: 'file' });
}

/** Adds to each file what it says about itself. Files are described once; they are named by their content. */
export function createMetadataReader(reader: Pick<ExtraReader, 'metadata'>): (extras: readonly ExtraModel[]) => Promise<ExtraModel[]> {
  const described = new Map<string, ExtraMetadata>();
  const describe = async (extra: ExtraModel): Promise<ExtraModel> => {
    // a file that cannot be read is reported by the job that names it
    const metadata = described.get(extra.fingerprint) ?? (await reader.metadata(extra.path).catch(() => ({})));
    described.set(extra.fingerprint, metadata);
    return { ...extra, metadata };
  };
  return (extras) => Promise.all(extras.map(describe));
}
