import type { FreeMemory } from '#main/inference/memory-plan.ts';
import { type DeviceName, deviceParts } from '#shared/domain/device.ts';
import { detectNvidia } from './nvidia.ts';

/** Memory that programs can still have now: RAM within the limits of a container, and that of an NVIDIA card by its driver's tool. Other cards do not report it. */
export async function freeMemory(device: DeviceName): Promise<FreeMemory> {
  const { provider, card } = deviceParts(device);
  const gpus = provider === 'cuda' ? await detectNvidia() : [];
  return { ramBytes: process.availableMemory(), cardBytes: gpus[card]?.free_bytes ?? null };
}
