import { expect, test } from 'vitest';
import type { Device, Devices, Gpu } from '#shared/domain/device.ts';
import { deviceOptions } from './device-options.ts';

const gpu: Gpu = { name: 'RTX 4090', driver: '580.1', compute_capability: '8.9', total_bytes: null, free_bytes: null };

function found(gpus: Gpu[], states: Partial<Record<Device['provider'], Device['state']>>): Devices {
  const devices = (['cuda', 'webgpu', 'cpu'] as const).map((provider): Device => {
    return { provider, state: states[provider] ?? 'works', reason: '', milliseconds: null, probed_at: null, active: false, needs: '', known_faults: [] };
  });
  return { gpus, devices, onnxruntime: '1.30.0' };
}

test('available devices, each of several GPUs, and the chosen one in any case', () => {
  expect(deviceOptions(found([gpu], {}), 'auto')).toEqual(['auto', 'cuda', 'webgpu', 'cpu']);
  expect(deviceOptions(found([gpu, gpu], { webgpu: 'refused' }), 'cuda:1')).toEqual(['auto', 'cuda:0', 'cuda:1', 'cpu']);
  expect(deviceOptions(found([], { cuda: 'absent', webgpu: 'refused' }), 'cuda')).toEqual(['auto', 'cpu', 'cuda']);
});
