import { join } from 'node:path';
import type { Config } from '#main/config/config.ts';
import type { CudaPack } from '#main/cuda-pack/cuda-pack.ts';
import { createPackInstaller } from '#main/cuda-pack/pack-installer.ts';
import { packSystem, planPack, vendorAddresses } from '#main/cuda-pack/pack-plan.ts';
import { createHttpClient } from '#main/downloads/http-client.ts';
import { onnxruntimeVersion } from '#main/lib/onnxruntime-version.ts';
import { packagesDir } from '#main/lib/program-files.ts';
import { AppError } from '#shared/protocol/errors.ts';

interface LocalCudaPackOptions {
  config: Pick<Config, 'dataDir' | 'wheelIndex' | 'hub'>;
  bytesPerSecond: () => number | null;
  isInUse: () => boolean;
  log: { warn(data: object, message: string): void };
}

/** The CUDA pack of this machine, for the ONNX Runtime that the program comes with. */
export function localCudaPack({ config: { dataDir, wheelIndex, hub: hubConfig }, bytesPerSecond, isInUse, log }: LocalCudaPackOptions): CudaPack {
  const index = wheelIndex instanceof AppError ? null : wheelIndex;
  const system = packSystem(process.platform, process.arch);
  // only the configured server may be in a private network
  const http = createHttpClient({ origin: (index ?? new URL(vendorAddresses.onnxruntime)).origin, token: null, proxies: hubConfig.proxies });
  const pack = createPackInstaller({
    dataDir,
    plan: system === null ? null : planPack(system, index === null ? 'releases' : 'wheels'),
    onnxruntime: onnxruntimeVersion(),
    libraryPath: join(packagesDir, 'onnxruntime-node/bin/napi-v6', process.platform, process.arch, 'libonnxruntime.so.1'),
    source: { index, vendors: vendorAddresses },
    http,
    bytesPerSecond,
    isInUse,
    log,
  });
  return {
    ...pack,
    act: async (command, options) => {
      if (command === 'install' && wheelIndex instanceof AppError) throw wheelIndex;
      return pack.act(command, options);
    },
    close: async () => {
      await pack.close();
      await http.close();
    },
  };
}
