import { expect, test } from 'vitest';
import { cudaOptions } from './cuda-options.ts';

const always = { arena_extend_strategy: 'kSameAsRequested', cudnn_conv_algo_search: 'HEURISTIC' };

test.each([
  [0, { arenaBytes: null, isTight: false, isExact: false }, { cudnn_conv_use_max_workspace: '1', use_tf32: '1' }],
  [
    1,
    { arenaBytes: 22.6e9, isTight: false, isExact: true },
    { device_id: '1', gpu_mem_limit: '22600000000', cudnn_conv_use_max_workspace: '1', use_tf32: '0' },
  ],
  [0, { arenaBytes: 5_368_709_120.7, isTight: true, isExact: false }, { gpu_mem_limit: '5368709120', cudnn_conv_use_max_workspace: '0', use_tf32: '1' }],
])('card %i, %o', (card, choices, options) => {
  expect(cudaOptions(card, choices)).toEqual({ ...always, ...options });
});
