import type { DeviceName, Devices } from '#shared/domain/device.ts';

/** The devices to choose from: what works here, card by card where NVIDIA's are counted, and `chosen` though it may not work. */
export function deviceOptions({ gpus, devices }: Devices, chosen: 'auto' | DeviceName): ('auto' | DeviceName)[] {
  const working = devices.filter(({ state }) => state === 'works').map(({ provider }) => provider);
  const names = working.flatMap((provider): DeviceName[] =>
    provider === 'cuda' && gpus.length > 1 ? gpus.map((_, card): DeviceName => `cuda:${card}`) : [provider],
  );
  return [...new Set<'auto' | DeviceName>(['auto', ...names, chosen])];
}
