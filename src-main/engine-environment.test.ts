import { expect, test } from 'vitest';
import { withLibraries } from './engine-environment.ts';

test('the folder of the libraries goes before what was there, under the name that the system has for it', () => {
  expect(withLibraries({ A: '1' }, '/data/cuda/1', 'linux')).toEqual({ A: '1', LD_LIBRARY_PATH: '/data/cuda/1' });
  expect(withLibraries({ LD_LIBRARY_PATH: '/opt/lib' }, '/data/cuda/1', 'linux')).toEqual({ LD_LIBRARY_PATH: '/data/cuda/1:/opt/lib' });
  expect(withLibraries({ Path: 'C:\\Windows' }, 'D:\\cuda', 'win32')).toEqual({ Path: 'D:\\cuda;C:\\Windows' });
});
