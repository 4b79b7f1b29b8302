import { dirname, sep } from 'node:path';

/** The deepest folder that contains all these absolute paths, or null (two drives on Windows). */
export function commonFolder(paths: readonly string[]): string | null {
  const [first, ...rest] = paths;
  if (first === undefined) return null;
  const holds = (folder: string, path: string): boolean => path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
  for (let folder = dirname(first); ; folder = dirname(folder)) {
    if (rest.every((path) => holds(folder, path))) return folder;
    if (dirname(folder) === folder) return null;
  }
}
