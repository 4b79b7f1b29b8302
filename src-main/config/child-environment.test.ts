import { expect, test } from 'vitest';
import { childEnvironment } from './child-environment.ts';

test('what other programs left for their own processes, and secrets, are not inherited', () => {
  const env = {
    PATH: '/bin',
    NODE_OPTIONS: '--inspect-brk',
    NODE_UNIQUE_ID: '1',
    NODE_CHANNEL_FD: '3',
    UV_THREADPOOL_SIZE: '1',
    HF_TOKEN: 'hf_x',
    CUDA_VISIBLE_DEVICES: '1',
  };
  expect(childEnvironment(env)).toEqual({
    PATH: '/bin',
    CUDA_VISIBLE_DEVICES: '1',
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
    MALLOC_MMAP_THRESHOLD_: '131072',
    MALLOC_TRIM_THRESHOLD_: '134217728',
  });
});

test('an order of cards or a size of blocks that was chosen stays', () => {
  expect(childEnvironment({ CUDA_DEVICE_ORDER: 'FASTEST_FIRST', MALLOC_MMAP_THRESHOLD_: '1' })).toMatchObject({
    CUDA_DEVICE_ORDER: 'FASTEST_FIRST',
    MALLOC_MMAP_THRESHOLD_: '1',
  });
});
