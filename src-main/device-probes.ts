import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { detectNvidia } from './engine/nvidia.ts';
import { createDeviceProbes, type DeviceProbes, type DeviceProbesOptions } from './engine/probe-devices.ts';
import { programDir } from './lib/program-files.ts';

const manifestSchema = z.object({ dependencies: z.object({ 'onnxruntime-node': z.string() }) });

/** The probes of this machine's devices, remembered in the data folder. Loading ONNX Runtime here only to ask its version would cost the server its memory. */
export function deviceProbes({ spawn, dataDir, active, log }: Pick<DeviceProbesOptions, 'spawn' | 'active' | 'log'> & { dataDir: string }): DeviceProbes {
  const manifest = manifestSchema.parse(JSON.parse(readFileSync(join(programDir, 'package.json'), 'utf8')));
  return createDeviceProbes({
    spawn,
    memoryPath: join(dataDir, 'devices.json'),
    ortVersion: manifest.dependencies['onnxruntime-node'],
    detectGpus: detectNvidia,
    platform: process.platform,
    threads: availableParallelism(),
    active,
    log,
  });
}
