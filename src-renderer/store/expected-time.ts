import type { QueueSummary } from '#shared/domain/job-record.ts';

interface Wanted {
  checkpoint: string;
  width: number;
  height: number;
  steps: number;
}

/**
 * Expected milliseconds for one image, upscaling included, from times measured on this machine; null before the first image of this model.
 * Times of another size are scaled by pixels, times with other steps by steps.
 */
export function expectedMs({ checkpoint, width, height, steps }: Wanted, measured: QueueSummary['measured']): number | null {
  const pixels = width * height;
  const distance = (one: { width: number; height: number }) => Math.abs(Math.log((one.width * one.height) / pixels));
  const [nearest] = measured
    .filter((one) => one.checkpoint === checkpoint)
    .sort((a, b) => distance(a) - distance(b) || Math.abs(a.steps - steps) - Math.abs(b.steps - steps));
  if (nearest === undefined || !(pixels > 0) || !(steps > 0)) return null;
  const bySize = pixels / (nearest.width * nearest.height);
  return bySize * (nearest.generate_ms * (steps / nearest.steps) + (nearest.upscale_ms ?? 0));
}
