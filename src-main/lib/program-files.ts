import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

const here = import.meta.dirname;
/** The program runs from `out/`, not from its sources. */
export const isBuilt = !import.meta.filename.endsWith('.ts');

/** The folder that holds `package.json`: the repository's root, or `app.asar` in the packaged app. */
export const programDir = nearestWithPackageJson(here);

/** The folder of the packages that are installed beside the program; native libraries are outside of the archive. */
export const packagesDir = join(programDir.endsWith('.asar') ? `${programDir}.unpacked` : programDir, 'node_modules');

/** ONNX Runtime's libraries for this system. */
export const onnxruntimeDir = join(packagesDir, 'onnxruntime-node/bin/napi-v6', process.platform, process.arch);

/** Icons, the bundled checkpoints and upscalers. They are beside `app.asar`, never in it: ONNX Runtime maps them as plain files. */
export const resourcesDir = programDir.endsWith('.asar') ? join(dirname(programDir), 'app-resources') : join(programDir, 'resources');

/**
 * The file to start a process or thread from.
 * @param entry Its path inside `src-main`, such as `engine/worker.ts`; it must be an input of `electron.vite.config.ts` under the same path.
 * @returns That file when the program runs from its sources, else the one built from it.
 */
export function entryFile(entry: string): string {
  return isBuilt ? join(programDir, 'out/main', entry.replace(/\.ts$/, '.js')) : join(programDir, 'src-main', entry);
}

// a built file is in out/main or out/main/chunks, so the depth varies
function nearestWithPackageJson(start: string): string {
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (folder === dirname(folder)) throw new Error(`no package.json in ${start} or above it: the program's files are incomplete`);
  }
}
