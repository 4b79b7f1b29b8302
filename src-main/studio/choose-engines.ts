import type { Config } from '#main/config/config.ts';
import type { EngineConfig } from '#main/engine/device-state.ts';
import { firstLoadNotice, noCardReason } from '#main/engine/nvidia.ts';
import type { DeviceCheck, DeviceProbes } from '#main/engine/probe-devices.ts';
import type { DeviceName } from '#shared/domain/device.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { engineConfig } from './engine-config.ts';

type Machine = Pick<DeviceProbes, 'gpus' | 'check'>;
type Accuracy = Config['accuracy'];
type Chosen = Pick<EngineConfig, 'device' | 'deviceReason' | 'gpuPrecision'>;

/**
 * How engines run on this machine, one config a device. `auto` takes every NVIDIA card whose probe passed, and without one the CPU; other GPUs have to be
 * named. Throws `device_unavailable` for a named one whose probe did not pass.
 */
export async function chooseEngines(
  { device, accuracy, memory, binding, priority, dataDir }: Pick<Config, 'device' | 'accuracy' | 'memory' | 'binding' | 'priority' | 'dataDir'>,
  machine: Machine,
): Promise<[EngineConfig, ...EngineConfig[]]> {
  const [first, ...others] = device === 'auto' ? await everyCard(machine, accuracy) : [await named(device, machine, accuracy)];
  const configOf = (chosen: Chosen): EngineConfig => engineConfig({ ...chosen, accuracy, memory, binding, priority: priority ?? 'normal', dataDir });
  return [configOf(first), ...others.map(configOf)];
}

async function everyCard(machine: Machine, accuracy: Accuracy): Promise<[Chosen, ...Chosen[]]> {
  const gpus = await machine.gpus();
  const usable: Chosen[] = [];
  const reasons: string[] = [];
  for (const card of gpus.keys()) {
    const device: DeviceName = `cuda:${card}`;
    const check = await machine.check(device, accuracy);
    if (check.state === 'works') usable.push(onGpu(device, check));
    else reasons.push(`${device}: ${check.reason}`);
  }
  const [first, ...others] = usable;
  if (first !== undefined) return [first, ...others];
  if (reasons.length === 0) return [{ device: 'cpu', deviceReason: noCardReason() }];
  // how long an image takes there is worth a second here
  const cpu = await machine.check('cpu', accuracy);
  return [{ device: 'cpu', deviceReason: `${reasons.join(' ')} Images are made on the CPU: ${cpu.reason}` }];
}

async function named(device: DeviceName, machine: Machine, accuracy: Accuracy): Promise<Chosen> {
  if (device === 'cpu') return { device, deviceReason: 'chosen by name' };
  const check = await machine.check(device, accuracy);
  if (check.state === 'works') return onGpu(device, check);
  throw new AppError(
    'device_unavailable',
    `The device ${device} cannot be used: ${check.reason} Leave --device out or use cpu; npm run doctor prints the details.`,
    {
      device,
    },
  );
}

function onGpu(device: DeviceName, { gpu, reason, precision }: DeviceCheck): Chosen {
  const notice = gpu === null ? null : firstLoadNotice(gpu);
  const sentences = [gpu === null ? reason : `${gpu.name}: ${reason}`, ...(notice === null ? [] : [notice])];
  return { device, deviceReason: sentences.join(' '), gpuPrecision: precision };
}
