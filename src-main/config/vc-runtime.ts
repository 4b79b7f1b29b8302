import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The Microsoft Visual C++ runtime that ONNX Runtime's Windows libraries import. A new Windows has none of it; our packages bring it along, beside the
 * program and beside ONNX Runtime, as Microsoft allows.
 */
export const vcRuntimeFiles = ['msvcp140.dll', 'msvcp140_1.dll', 'msvcp140_atomic_wait.dll', 'vcruntime140.dll', 'vcruntime140_1.dll'] as const;

/** Where Windows has its own libraries. */
export function windowsSystemFolder(env: NodeJS.ProcessEnv = process.env): string {
  return join(env['SystemRoot'] ?? 'C:\\Windows', 'System32');
}

/** Why ONNX Runtime cannot be loaded on this Windows, or null. `libraryDir` is the folder of ONNX Runtime. */
export function missingVcRuntime(
  libraryDir: string,
  {
    platform = process.platform,
    env = process.env,
    exists = existsSync,
  }: { platform?: NodeJS.Platform; env?: NodeJS.ProcessEnv; exists?: typeof existsSync } = {},
): string | null {
  if (platform !== 'win32') return null;
  const folders = [libraryDir, dirname(process.execPath), windowsSystemFolder(env)];
  const missing = vcRuntimeFiles.filter((file) => !folders.some((folder) => exists(join(folder, file))));
  if (missing.length === 0) return null;
  return `The Microsoft Visual C++ runtime is missing (${missing.join(', ')}): install https://aka.ms/vs/17/release/vc_redist.x64.exe and start again.`;
}
