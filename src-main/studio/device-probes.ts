import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { missingVcRuntime } from '#main/config/vc-runtime.ts';
import { findPack, packsDirOf } from '#main/cuda-pack/pack-folder.ts';
import { detectNvidia } from '#main/engine/nvidia.ts';
import { createDeviceProbes, type DeviceProbes, type DeviceProbesOptions } from '#main/engine/probe-devices.ts';
import { onnxruntimeVersion } from '#main/lib/onnxruntime-version.ts';
import { onnxruntimeDir } from '#main/lib/program-files.ts';

const NO_PACK = 'The CUDA pack for this version of ONNX Runtime is not installed: npm run cuda -- install, or the button in the settings.';

/** The probes of this machine's devices, remembered in the data folder. */
export function deviceProbes({ dataDir, ...options }: Pick<DeviceProbesOptions, 'spawn' | 'binding' | 'active' | 'log'> & { dataDir: string }): DeviceProbes {
  const ortVersion = onnxruntimeVersion();
  return createDeviceProbes({
    ...options,
    ortVersion,
    memoryPath: join(dataDir, 'devices.json'),
    missingFor: (provider) => missingVcRuntime(onnxruntimeDir) ?? (provider === 'cuda' && findPack(packsDirOf(dataDir), ortVersion) === null ? NO_PACK : null),
    detectGpus: detectNvidia,
    platform: process.platform,
    threads: availableParallelism(),
  });
}
