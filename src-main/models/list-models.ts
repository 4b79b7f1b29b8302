import type { InstallState } from '#main/downloads/install-state.ts';
import type { ExtraMetadata, ModelCompilation, ModelEntry, ModelKind } from '#shared/domain/model.ts';
import { AppError } from '#shared/protocol/errors.ts';
import type { CatalogModel } from './catalog.ts';
import { catalog, UPSCALER_LICENSE } from './catalog.ts';
import type { BrokenUpscaler, Upscaler } from './checkpoint.ts';
import type { CheckpointFacts } from './describe-checkpoint.ts';
import { sizeOf } from './install-model.ts';
import type { ModelRecord } from './records.ts';

/** What was found in the folder of a model. */
export type Found = (Content & Pick<CheckpointFacts, 'license'>) | AppError;

type Content = Pick<CheckpointFacts, 'fingerprint' | 'sizeBytes'> & { compilation: ModelCompilation | null; metadata?: ExtraMetadata };

export interface RecordView {
  record: ModelRecord;
  state: InstallState;
  dir: string;
  /** Null unless it is installed. */
  found: Found | null;
  /** Downloaded so far. */
  bytesDone: number;
}

export interface ModelsView {
  /** The active model of each kind. */
  active: ReadonlyMap<ModelKind, string>;
  bundled: { name: string; kind: ModelKind; dir: string; found: Found }[];
  /** Folders of `--checkpoint`. */
  named: { name: string; kind: ModelKind; dir: string; found: Found }[];
  records: RecordView[];
  /** Records of another version of the program. */
  foreignNames: readonly string[];
  /** Models that can be installed, with their snapshot if another tool has downloaded it. */
  available: { model: CatalogModel; cachedDir: string | null }[];
  upscalers: (Upscaler | BrokenUpscaler)[];
}

/** All models as the API lists them. Pure. */
export function listModels({ active, bundled, named, records, foreignNames, available, upscalers }: ModelsView): ModelEntry[] {
  return [
    ...named.map(({ name, kind, dir, found }) => folderEntry(name, kind, dir, 'folder', found, active)),
    ...records.map((view) => recordEntry(view, active)),
    ...foreignNames.map(foreignEntry),
    ...available.map(availableEntry),
    ...bundled.map(({ name, kind, dir, found }) => folderEntry(name, kind, dir, 'bundled', found, active)),
    ...upscalers.map((upscaler) => upscalerEntry(upscaler, active)),
  ];
}

export function recordEntry({ record, state, dir, found, bytesDone }: RecordView, active: ModelsView['active']): ModelEntry {
  const { name, kind, source } = record;
  const isHub = source.type === 'hub';
  const base: ModelEntry = {
    ...blank(name, kind, active),
    license: isHub ? source.license : 'unknown',
    source: {
      type: source.type,
      repository: isHub ? source.repository : null,
      revision: isHub ? source.commit : null,
      path: state.at === 'installed' || state.at === 'verifying' ? dir : null,
    },
  };
  const published = catalog.find(({ repository }) => repository === name)?.sizeBytes ?? 0;
  if ('transfer' in state) {
    const { transfer, at } = state;
    return { ...base, state: at === 'unpacking' ? 'downloading' : at, ...transfer.toWire(), bytes_total: transfer.totalBytes || published };
  }
  if (state.at !== 'installed' || found === null) {
    const error = state.at === 'failed' ? wireError(state.error) : null;
    return { ...base, state: state.at, error, bytes_done: bytesDone, bytes_total: (isHub && sizeOf(source)) || published };
  }
  if (found instanceof AppError) return { ...base, ...contentOf(found) };
  const content = { ...base, ...contentOf(found), license: isHub ? source.license : found.license };
  if (found.fingerprint === record.identity) return content;
  const advice = isHub ? 'Install it again; only changed files are downloaded' : 'Verify it to accept the folder as it is now';
  const message = `The files in ${dir} have changed since the model was ${isHub ? 'downloaded' : 'added'}. ${advice}.`;
  return { ...content, state: 'damaged', error: { code: 'checkpoint_damaged', message } };
}

function folderEntry(name: string, kind: ModelKind, dir: string, type: 'bundled' | 'folder', found: Found, active: ModelsView['active']): ModelEntry {
  return {
    ...blank(name, kind, active),
    license: type === 'bundled' ? 'Apache-2.0' : found instanceof AppError ? 'unknown' : found.license,
    source: { type, repository: null, revision: null, path: dir },
    ...contentOf(found),
  };
}

function contentOf(found: Content | AppError): Partial<ModelEntry> & Pick<ModelEntry, 'state'> {
  if (found instanceof AppError) return { state: found.code === 'too_many_open_files' ? 'installed' : 'damaged', error: wireError(found) };
  const { fingerprint, sizeBytes, compilation, metadata } = found;
  return { state: 'installed', identity: fingerprint, bytes_done: sizeBytes, bytes_total: sizeBytes, compilation, ...metadata };
}

function foreignEntry(name: string): ModelEntry {
  const message = `The entry ${JSON.stringify(name)} in models.json was written by another version of this program, or is damaged. It is kept but cannot be used. Update the program, or delete the entry from the file.`;
  return { ...blank(name, 'uint4', new Map()), state: 'damaged', error: { code: 'checkpoint_unsupported', message } };
}

function availableEntry({ model: { repository, kind, license, sizeBytes }, cachedDir }: ModelsView['available'][number]): ModelEntry {
  return { ...blank(repository, kind, new Map()), license, source: { type: 'hub', repository, revision: null, path: cachedDir }, bytes_total: sizeBytes };
}

function upscalerEntry(upscaler: Upscaler | BrokenUpscaler, active: ModelsView['active']): ModelEntry {
  const { name, path } = upscaler;
  const base = { ...blank(name, 'upscaler', active), license: UPSCALER_LICENSE, source: { type: 'bundled' as const, repository: null, revision: null, path } };
  if ('error' in upscaler) return { ...base, ...contentOf(upscaler.error) };
  return { ...base, ...contentOf({ ...upscaler, compilation: null }) };
}

function blank(name: string, kind: ModelKind, active: ModelsView['active']): ModelEntry {
  return {
    name,
    kind,
    state: 'absent',
    active: active.get(kind) === name,
    license: 'unknown',
    source: { type: 'hub', repository: null, revision: null, path: null },
    identity: null,
    bytes_done: 0,
    bytes_total: 0,
    bytes_per_second: null,
    seconds_left: null,
    error: null,
    compilation: null,
  };
}

function wireError({ code, message }: { code: string; message: string }): ModelEntry['error'] {
  return { code, message };
}
