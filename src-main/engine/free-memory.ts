import type { FreeMemory } from '#main/inference/memory-plan.ts';
import { type DeviceName, deviceParts } from '#shared/domain/device.ts';
import { detectNvidia } from './nvidia.ts';

/** What programs can still have now: of RAM within the limits of a container, and of an NVIDIA card as its driver's tool tells it. Other cards do not tell. */
export async function freeMemory(device: DeviceName): Promise<FreeMemory> {
  const { provider, card } = deviceParts(device);
  const gpus = provider === 'cuda' ? await detectNvidia() : [];
  return { ramBytes: process.availableMemory(), cardBytes: gpus[card]?.free_bytes ?? null };
}
