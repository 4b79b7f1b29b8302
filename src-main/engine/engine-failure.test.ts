import { expect, test } from 'vitest';
import { AppError } from '#shared/protocol/errors.ts';
import { toEngineFailure } from './engine-failure.ts';

const errno = (code: string) => Object.assign(new Error(`${code}: open`), { code });

test.each([
  [new AppError('checkpoint_damaged', 'cut off', { path: '/c' }), { code: 'checkpoint_damaged', message: 'cut off', data: { path: '/c' } }],
  [new RangeError('Array buffer allocation failed'), { code: 'engine_out_of_memory' }],
  [errno('ENOMEM'), { code: 'engine_out_of_memory' }],
  [errno('EMFILE'), { code: 'engine_unavailable', message: expect.stringContaining('no file descriptors are left (EMFILE)') }],
  [errno('ENFILE'), { code: 'engine_unavailable' }],
  [new Error('no kernel image'), { code: 'engine_failed', data: { reason: 'no kernel image' } }],
  ['a string', { code: 'engine_failed', data: { reason: 'a string' } }],
])('%s', (thrown, failure) => {
  expect(toEngineFailure(thrown)).toMatchObject(failure);
});
