import type { RemoteFile } from '#main/downloads/fetch-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { checkpointParts, pickleFile, relevantFile, weightParts } from '../describe-checkpoint.ts';
import type { ListedFile } from './hub-client.ts';

/** Texts are read whole into memory; the largest that a checkpoint has is a tokenizer of 11 MB. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;
const hashPattern = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

/**
 * The files of a repository that make a checkpoint, small ones first. Throws `checkpoint_unsupported` for another kind of repository, `download_refused`
 * for names that lead out of their folder, pickles in place of weights, missing hashes and texts too large to be read.
 */
export function chooseFiles(repository: string, listed: readonly ListedFile[]): RemoteFile[] {
  for (const { path } of listed)
    if (!isInside(path)) throw refused(repository, `a file named ${JSON.stringify(path.slice(0, 200))}, which leads out of its folder`);
  const chosen = listed.filter(({ path }) => isRelevant(path));
  assertNoTwins(repository, chosen);
  if (!chosen.some(({ path }) => path === 'model_index.json')) {
    throw new AppError('checkpoint_unsupported', `${repository} has no model_index.json; a ZImagePipeline in the layout of diffusers is needed.`, {
      path: repository,
    });
  }
  for (const part of weightParts) assertSafetensors(repository, part, listed);
  for (const { path, sizeBytes, hash } of chosen) {
    if (!hashPattern.test(hash)) throw refused(repository, `${path} without a hash that its bytes could be held against`);
    if (!path.endsWith('.safetensors') && sizeBytes > MAX_TEXT_BYTES)
      throw refused(repository, `${path} with ${sizeBytes} bytes, where ${MAX_TEXT_BYTES} are the most`);
  }
  return chosen.toSorted((a, b) => a.sizeBytes - b.sizeBytes);
}

function isInside(path: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return path !== '' && !/[\\:\u0000-\u001f]/.test(path) && path.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}

function isRelevant(path: string): boolean {
  if (path === 'model_index.json' || path === 'README.md') return true;
  const [part = '', name = '', ...deeper] = path.split('/');
  return deeper.length === 0 && checkpointParts.some((known) => known === part) && relevantFile.test(name);
}

/** On some systems names that differ in case only are one file. */
function assertNoTwins(repository: string, files: readonly ListedFile[]): void {
  const seen = new Set<string>();
  for (const { path } of files) {
    if (seen.has(path.toLowerCase())) throw refused(repository, `${path} twice`);
    seen.add(path.toLowerCase());
  }
}

function assertSafetensors(repository: string, part: string, files: readonly ListedFile[]): void {
  const names = files.map(({ path }) => path).filter((path) => path.startsWith(`${part}/`));
  if (names.some((path) => path.endsWith('.safetensors'))) return;
  const pickle = names.find((path) => pickleFile.test(path));
  if (pickle !== undefined) throw refused(repository, `the pickle file ${pickle}, which can run code when it is opened; weights must be safetensors`);
  throw new AppError('checkpoint_unsupported', `${repository} has no weights in ${part}/; *.safetensors files belong there.`, { path: repository });
}

function refused(repository: string, what: string): AppError<'download_refused'> {
  return new AppError('download_refused', `${repository} offers ${what}; nothing was taken.`, {});
}
