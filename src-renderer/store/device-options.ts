import type { DeviceName, Devices } from '#shared/domain/device.ts';

/** The devices to choose from: the available ones, NVIDIA GPUs one by one, and `chosen` even if it is not available. */
export function deviceOptions({ gpus, devices }: Devices, chosen: 'auto' | DeviceName): ('auto' | DeviceName)[] {
  const working = devices.filter(({ state }) => state === 'works').map(({ provider }) => provider);
  const names = working.flatMap((provider): DeviceName[] =>
    provider === 'cuda' && gpus.length > 1 ? gpus.map((_, card): DeviceName => `cuda:${card}`) : [provider],
  );
  return [...new Set<'auto' | DeviceName>(['auto', ...names, chosen])];
}
