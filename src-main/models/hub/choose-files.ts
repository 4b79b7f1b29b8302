import type { RemoteFile } from '#main/downloads/fetch-file.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { checkpointParts, pickleFile, relevantNames, weightParts } from '../checkpoint-files.ts';
import type { ListedFile } from './hub-client.ts';

/** Text files are read into memory; the largest in a checkpoint is an 11 MB tokenizer. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;
const hashPattern = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

/**
 * The files of a repository that make up a checkpoint, small ones first. Throws `checkpoint_unsupported` for other repositories, `download_refused`
 * for names that lead out of the folder, pickles instead of weights, missing hashes and text files that are too large.
 */
export function chooseFiles(repository: string, listed: readonly ListedFile[]): RemoteFile[] {
  for (const file of listed) assertInside(repository, file);
  const relevant = relevantPathsOf(listed);
  const chosen = listed.filter(({ path }) => relevant.has(path));
  assertNoTwins(repository, chosen);
  if (!chosen.some(({ path }) => path === 'model_index.json')) {
    const message = `${repository} has no model_index.json; a ZImagePipeline or Flux2KleinPipeline in diffusers layout is needed.`;
    throw new AppError('checkpoint_unsupported', message, { path: repository });
  }
  for (const part of weightParts) assertSafetensors(repository, part, listed);
  assertTokenizer(repository, relevant);
  for (const file of chosen) {
    const { path, sizeBytes } = file;
    assertHashed(repository, file);
    if (!path.endsWith('.safetensors') && sizeBytes > MAX_TEXT_BYTES)
      throw refused(repository, `${path} with ${sizeBytes} bytes; at most ${MAX_TEXT_BYTES} are allowed`);
  }
  return chosen.toSorted((a, b) => a.sizeBytes - b.sizeBytes);
}

/** Throws `download_refused` for a name that leads out of the folder, and for a missing hash. */
export function assertSafeFile(repository: string, file: ListedFile): void {
  assertInside(repository, file);
  assertHashed(repository, file);
}

function assertHashed(repository: string, { path, hash }: ListedFile): void {
  if (!hashPattern.test(hash)) throw refused(repository, `${path} without a hash`);
}

function assertInside(repository: string, { path }: ListedFile): void {
  if (!isInside(path)) throw refused(repository, `a file named ${JSON.stringify(path.slice(0, 200))}, which leads out of its folder`);
}

function isInside(path: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this rejects
  return path !== '' && !/[\\:\u0000-\u001f]/.test(path) && path.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}

function relevantPathsOf(listed: readonly ListedFile[]): ReadonlySet<string> {
  const paths = new Set(['model_index.json', 'README.md']);
  for (const part of checkpointParts) {
    const names = listed.flatMap(({ path }) => (path.startsWith(`${part}/`) && path.split('/').length === 2 ? [path.slice(part.length + 1)] : []));
    for (const name of relevantNames(part, names)) paths.add(`${part}/${name}`);
  }
  return paths;
}

/** Before the first weight: a checkpoint without a tokenizer that can be read makes no image. */
function assertTokenizer(repository: string, paths: ReadonlySet<string>): void {
  if (paths.has('tokenizer/tokenizer.json') || (paths.has('tokenizer/vocab.json') && paths.has('tokenizer/merges.txt'))) return;
  const message = `${repository} has no tokenizer: tokenizer/tokenizer.json is needed, or tokenizer/vocab.json with tokenizer/merges.txt.`;
  throw new AppError('checkpoint_unsupported', message, { path: repository });
}

/** Some file systems ignore case in names. */
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
  throw new AppError('checkpoint_unsupported', `${repository} has no weights in ${part}/; *.safetensors files are needed there.`, { path: repository });
}

function refused(repository: string, what: string): AppError<'download_refused'> {
  return new AppError('download_refused', `${repository} offers ${what}. Nothing was downloaded.`, {});
}
