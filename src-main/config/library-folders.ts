import { delimiter } from 'node:path';

/** The folders where the system's loader looks for libraries first, as this process was started with them. */
export function libraryFolders(): string[] {
  const folders = process.env[process.platform === 'win32' ? 'PATH' : 'LD_LIBRARY_PATH'] ?? '';
  return folders.split(delimiter).filter((folder) => folder !== '');
}
