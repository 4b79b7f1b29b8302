import { childEnvironment } from '#main/config/child-environment.ts';
import { findPack, packsDirOf } from '#main/cuda-pack/pack-folder.ts';
import { onnxruntimeVersion } from '#main/lib/onnxruntime-version.ts';
import type { ProviderName } from '#shared/domain/device.ts';

/**
 * What an engine's process inherits. Where it is to run on CUDA and the pack for this ONNX Runtime is installed, the loader looks into its folder first; inside
 * of the process it would be too late for that.
 */
export function engineEnvironment(dataDir: string): (provider: ProviderName) => NodeJS.ProcessEnv {
  return (provider) => {
    const env = childEnvironment();
    const pack = provider === 'cuda' ? findPack(packsDirOf(dataDir), onnxruntimeVersion()) : null;
    return pack === null ? env : withLibraries(env, pack, process.platform);
  };
}

/** `env` with `dir` as the first place where the system's loader looks for libraries. */
export function withLibraries(env: NodeJS.ProcessEnv, dir: string, platform: NodeJS.Platform): NodeJS.ProcessEnv {
  const wanted = platform === 'win32' ? 'PATH' : 'LD_LIBRARY_PATH';
  // Windows calls it Path, and a second spelling beside it would be lost
  const name = Object.keys(env).find((key) => (platform === 'win32' ? key.toUpperCase() : key) === wanted) ?? wanted;
  const others = env[name];
  return { ...env, [name]: others === undefined || others === '' ? dir : `${dir}${platform === 'win32' ? ';' : ':'}${others}` };
}
