import type { Config } from '#main/config/config.ts';
import type { EngineConfig } from '#main/engine/device-state.ts';
import { noCardReason } from '#main/engine/nvidia.ts';
import type { DeviceProbes } from '#main/engine/probe-devices.ts';
import type { DeviceName, Gpu } from '#shared/domain/device.ts';
import { AppError } from '#shared/protocol/errors.ts';
import { engineConfig } from './engine-config.ts';

type Machine = Pick<DeviceProbes, 'gpus' | 'check'>;
type Chosen = Pick<EngineConfig, 'device' | 'deviceReason' | 'gpuPrecision'>;

/**
 * How engines run on this machine, one config a device. `auto` takes every NVIDIA card whose probe passed, and without one the CPU; other GPUs have to be
 * named. Throws `device_unavailable` for a named one whose probe did not pass.
 */
export async function chooseEngines(
  { device, accuracy, memory, binding, priority, dataDir }: Pick<Config, 'device' | 'accuracy' | 'memory' | 'binding' | 'priority' | 'dataDir'>,
  machine: Machine,
): Promise<[EngineConfig, ...EngineConfig[]]> {
  const [first, ...others] = device === 'auto' ? await everyCard(machine) : [await named(device, machine)];
  const configOf = (chosen: Chosen): EngineConfig => engineConfig({ ...chosen, accuracy, memory, binding, priority: priority ?? 'normal', dataDir });
  return [configOf(first), ...others.map(configOf)];
}

async function everyCard(machine: Machine): Promise<[Chosen, ...Chosen[]]> {
  const gpus = await machine.gpus();
  const usable: Chosen[] = [];
  const reasons: string[] = [];
  for (const [card, gpu] of gpus.entries()) {
    const device: DeviceName = `cuda:${card}`;
    const { state, reason } = await machine.check(device);
    if (state === 'works') usable.push(onCard(device, gpu));
    else reasons.push(`${device}: ${reason}`);
  }
  const [first, ...others] = usable;
  if (first !== undefined) return [first, ...others];
  return [{ device: 'cpu', deviceReason: reasons.length === 0 ? noCardReason() : reasons.join(' ') }];
}

async function named(device: DeviceName, machine: Machine): Promise<Chosen> {
  if (device === 'cpu') return { device, deviceReason: 'chosen by name' };
  const { state, reason, gpu } = await machine.check(device);
  if (state === 'works') return gpu === null ? { device, deviceReason: 'chosen by name', gpuPrecision: 'fp16' } : onCard(device, gpu);
  throw new AppError('device_unavailable', `The device ${device} cannot be used: ${reason} Leave --device out or use cpu; npm run doctor prints the details.`, {
    device,
  });
}

/** bfloat16 is in the cards from Ampere (8.0) on; before that it is emulated, if there at all. */
function onCard(device: DeviceName, { name, compute_capability: capability }: Gpu): Chosen {
  return { device, deviceReason: `${name}, whose numbers are right`, gpuPrecision: capability !== null && Number(capability) >= 8 ? 'bf16' : 'fp16' };
}
