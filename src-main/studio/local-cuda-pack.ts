import { join } from 'node:path';
import type { Config } from '#main/config/config.ts';
import { createCudaPack } from '#main/cuda-pack/create-cuda-pack.ts';
import type { CudaPack } from '#main/cuda-pack/cuda-pack.ts';
import { packSystem, planPack, vendorAddresses } from '#main/cuda-pack/pack-plan.ts';
import { onnxruntimeVersion } from '#main/lib/onnxruntime-version.ts';
import { packagesDir } from '#main/lib/program-files.ts';
import { createHubClient } from '#main/models/hub-client.ts';

interface LocalCudaPackOptions {
  config: Pick<Config, 'dataDir' | 'wheelIndex' | 'hub'>;
  bytesPerSecond: () => number | null;
  isInUse: () => boolean;
  log: { warn(data: object, message: string): void };
}

/** The CUDA pack of this machine, for the ONNX Runtime that the program comes with. */
export function localCudaPack({ config: { dataDir, wheelIndex, hub: hubConfig }, bytesPerSecond, isInUse, log }: LocalCudaPackOptions): CudaPack {
  const system = packSystem(process.platform, process.arch);
  // only the address that was configured may lie in a private network
  const hub = createHubClient({ endpoint: (wheelIndex ?? new URL(vendorAddresses.onnxruntime)).origin, token: null, proxies: hubConfig.proxies });
  const pack = createCudaPack({
    dataDir,
    plan: system === null ? null : planPack(system, wheelIndex === null ? 'releases' : 'wheels'),
    onnxruntime: onnxruntimeVersion(),
    libraryPath: join(packagesDir, 'onnxruntime-node/bin/napi-v6', process.platform, process.arch, 'libonnxruntime.so.1'),
    source: { index: wheelIndex, vendors: vendorAddresses },
    hub,
    bytesPerSecond,
    isInUse,
    log,
  });
  return {
    ...pack,
    close: async () => {
      await pack.close();
      await hub.close();
    },
  };
}
