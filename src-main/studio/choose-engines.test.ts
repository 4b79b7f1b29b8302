import { describe, expect, test } from 'vitest';
import { noCardReason } from '#main/engine/nvidia.ts';
import type { DeviceCheck } from '#main/engine/probe-devices.ts';
import type { Gpu } from '#shared/domain/device.ts';
import { chooseEngines } from './choose-engines.ts';

const options = { accuracy: 'fast', memory: 'resident', binding: 'auto', priority: null, dataDir: '/data' } as const;
const card = (name: string, compute_capability: string | null): Gpu => ({ name, driver: '580.1', compute_capability, total_bytes: null, free_bytes: null });

/** A machine with these cards, on which what `obstacles` does not name works. */
function machine(gpus: Gpu[], obstacles: Record<string, string> = {}) {
  return {
    gpus: async () => gpus,
    check: async (device: string, accuracy: string): Promise<DeviceCheck> => {
      const gpu = device.startsWith('cuda') ? (gpus[Number(device.split(':')[1] ?? 0)] ?? null) : null;
      const precision = accuracy === 'exact' ? 'fp32' : gpu === ada ? 'bf16' : 'fp16';
      const reason = obstacles[device];
      if (reason !== undefined) return { state: 'refused', reason, gpu, precision };
      return { state: 'works', reason: `An image takes ${gpu === null ? '30 min' : '5 s'}.`, gpu, precision };
    },
  };
}

const turing = card('RTX 2070', '7.5');
const ada = card('RTX 4090', '8.9');

describe('auto', () => {
  test('takes every card that works, in the precision that its probe passed in', async () => {
    const engines = await chooseEngines({ ...options, device: 'auto' }, machine([turing, ada, ada], { 'cuda:2': 'It is busy.' }));
    expect(engines).toMatchObject([
      { device: 'cuda:0', gpuPrecision: 'fp16', deviceReason: expect.stringContaining('RTX 2070'), accuracy: 'fast', cacheDir: '/data/compiled' },
      { device: 'cuda:1', gpuPrecision: 'bf16', deviceReason: 'RTX 4090: An image takes 5 s.' },
    ]);
    expect(await chooseEngines({ ...options, accuracy: 'exact', device: 'auto' }, machine([ada]))).toMatchObject([{ gpuPrecision: 'fp32' }]);
    expect(engines).toHaveLength(2);
  });

  test('is the CPU where no card works, with what every card said; other GPUs are not taken unasked', async () => {
    expect(await chooseEngines({ ...options, device: 'auto' }, machine([]))).toMatchObject([{ device: 'cpu', deviceReason: noCardReason() }]);
    const refusing = machine([ada, ada], { 'cuda:0': 'No library.', 'cuda:1': 'Too hot.' });
    expect(await chooseEngines({ ...options, device: 'auto' }, refusing)).toMatchObject([
      { device: 'cpu', deviceReason: 'cuda:0: No library. cuda:1: Too hot. Images are made on the CPU: An image takes 30 min.' },
    ]);
  });
});

describe('a device by name', () => {
  test('is the only one', async () => {
    expect(await chooseEngines({ ...options, device: 'cuda:1' }, machine([turing, ada]))).toMatchObject([{ device: 'cuda:1', gpuPrecision: 'bf16' }]);
    expect(await chooseEngines({ ...options, device: 'webgpu' }, machine([]))).toMatchObject([{ device: 'webgpu', gpuPrecision: 'fp16' }]);
    expect(await chooseEngines({ ...options, device: 'cpu' }, machine([ada]))).toMatchObject([{ device: 'cpu', deviceReason: 'chosen by name' }]);
  });

  test('whose probe did not pass is refused, with the reason', async () => {
    const asking = chooseEngines({ ...options, device: 'cuda' }, machine([ada], { cuda: 'libcudnn.so.9 is missing.' }));
    await expect(asking).rejects.toMatchObject({
      code: 'device_unavailable',
      data: { device: 'cuda' },
      message: expect.stringContaining('libcudnn.so.9 is missing.'),
    });
  });
});
