import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { reportStrayErrors } from './stray-errors.ts';

test('uncaught errors and rejections are reported, and a closed output is not an error', () => {
  const [program, output] = [new EventEmitter(), new EventEmitter()];
  const reported: unknown[] = [];
  reportStrayErrors((error) => reported.push(error), program, [output]);
  program.emit('uncaughtException', new Error('one'));
  program.emit('unhandledRejection', 'two');
  expect(() => output.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))).not.toThrow();
  expect(reported).toEqual([new Error('one'), 'two']);
});
